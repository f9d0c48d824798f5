/** The program of the MCP service: `main.ts SERVICE-FILE PORT`. SIGTERM ends it without losing an answer. */
import { networksOf } from "../../src/platform/caller-address.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { endOnSignal } from "../../src/platform/end-on-signal.ts";
import { systemFiles } from "../../src/platform/files.ts";
import { systemRandom as random } from "../../src/platform/random.ts";
import { failureLines, orSayWhy, say } from "../../src/platform/say.ts";
import { readSecret, readServiceFile } from "../settings/service-file.ts";
import { HttpApi } from "./api-client.ts";
import { McpService } from "./service.ts";

const [file = "", port = "8080"] = process.argv.slice(2);

await orSayWhy(async () => {
  const settings = await readServiceFile(systemFiles, file);
  const {
    api: base,
    hosts,
    keyFile,
    publicUrl = `http://127.0.0.1:${port}/mcp`,
  } = settings.mcp ?? {
    api: "http://127.0.0.1:8000",
    hosts: [],
    keyFile: undefined,
    publicUrl: undefined,
  };
  const ownKey = keyFile === undefined ? undefined : await readSecret(systemFiles, keyFile);
  const service = await McpService.start(systemClock, new HttpApi({ base, ownKey, random }), {
    host: "127.0.0.1",
    port: Number(port),
    origins: ["localhost", "127.0.0.1", "[::1]", ...hosts],
    publicUrl,
    trustedProxies: networksOf(settings.trustedProxies),
    onMistake: (error) => say(`mistake: ${failureLines(error)}`, "err"),
  });
  say(`mcp listens on port ${service.port}`);

  endOnSignal(() => service.stop());
});
