import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { PORTS, startServer } from "../../test/support/servers.ts";
import { ReceiverProcess } from "./receiver.ts";

test("a receiver that ends at once is named with its last words, by whoever waits for it or needs it", async () => {
  await using server = await startServer({ major: 16 });
  const cli = path.join(server.folder, "ends.mjs");
  await writeFile(cli, "console.error('no such vault'); process.exit(4);\n");
  const program = { node: process.execPath, nodeArguments: [], cli, probe: cli, command: "lifeboat" };
  const logFile = path.join(server.folder, "receiver.log");
  const receiver = await ReceiverProcess.start(PORTS, { program, configFile: "/dev/null", folder: "/", logFile });
  const failed = { code: "demo.receiver-failed", message: /ended with status 4/ };
  await assert.rejects(receiver.untilStandby(server.server, "async", {}), {
    ...failed,
    message: /status 4.*no such vault/,
  });
  assert.match(receiver.gone().message, failed.message);
  await receiver.kill();
});
