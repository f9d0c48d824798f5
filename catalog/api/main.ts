/** The program of one instance of the API: `main.ts SERVICE-FILE NAME PORT-OR-SOCKET`. SIGTERM ends it without losing a request. */
import { systemClock } from "../../src/platform/clock.ts";
import { endOnSignal } from "../../src/platform/end-on-signal.ts";
import { systemFiles } from "../../src/platform/files.ts";
import { parseListenAt } from "../../src/platform/listen-at.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { failureLines, orSayWhy, say } from "../../src/platform/say.ts";
import { readServiceFile } from "../settings/service-file.ts";
import { Instance } from "./instance.ts";

const [file = "", name = "api", at = "8000"] = process.argv.slice(2);

await orSayWhy(async () => {
  const settings = await readServiceFile(systemFiles, file);
  const instance = await Instance.start(
    { clock: systemClock, files: systemFiles, random: systemRandom },
    {
      settings,
      name,
      listen: parseListenAt(at),
      tell: (what) => say(`${new Date(systemClock.now()).toISOString()} ${name}: ${what}`),
      onMistake: (error) => say(`mistake: ${failureLines(error)}`, "err"),
    },
  );
  say(`${name} listens at ${at}`);
  endOnSignal(() => instance.stop());
});
