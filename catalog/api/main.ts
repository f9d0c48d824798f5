/** The program of one instance of the API: `main.ts SERVICE-FILE NAME PORT-OR-SOCKET`. SIGTERM ends it without losing a request. */
import { systemClock } from "../../src/platform/clock.ts";
import { systemFiles } from "../../src/platform/files.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { readServiceFile } from "../settings/service-file.ts";
import { Instance } from "./instance.ts";

/** Longer than any request takes; a supervisor waits longer. */
const STOP_DEADLINE_MS = 12_000;

const [file = "", name = "api", at = "8000"] = process.argv.slice(2);
const settings = await readServiceFile(systemFiles, file);
const instance = await Instance.start(
  { clock: systemClock, files: systemFiles, random: systemRandom },
  {
    settings,
    name,
    listen: at.startsWith("/") ? { socket: at } : { port: Number(at) },
    onMistake: (error) => console.error("mistake:", error),
  },
);
console.log(`${name} listens at ${at}`);

let isStopping = false;
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    if (isStopping) process.exit(1);
    isStopping = true;
    setTimeout(() => process.exit(1), STOP_DEADLINE_MS).unref();
    void instance.stop().then(() => process.exit(0));
  });
}
