import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { eventually } from "../../../test/support/receivers.ts";
import { isLifeboatError } from "../../errors/error.ts";
import { systemClock } from "../clock.ts";
import { scriptSpec } from "../conformance/conformance.ts";
import { systemFiles } from "../files.ts";
import { systemProcesses } from "../processes.ts";
import { LocalPlatform, SUPERVISOR } from "./local-platform.ts";

const MAIN = path.join(import.meta.dirname, "main.ts");
const mark = process.env["LIFEBOAT_TEST_FILE"];

test("a supervisor that hangs is named with what ends it; after that another one takes over what runs", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-platform-"));
  const platformWaiting = (helloTimeoutMs?: number): LocalPlatform =>
    new LocalPlatform(
      { files: systemFiles, processes: systemProcesses, clock: systemClock },
      {
        folder: path.join(folder, "supervisor"),
        supervisor: { command: process.execPath, args: ["--disable-warning=ExperimentalWarning", MAIN] },
        environment: mark === undefined ? undefined : { LIFEBOAT_TEST_FILE: mark },
      },
      helloTimeoutMs,
    );
  const platform = platformWaiting();
  try {
    await platform.start(scriptSpec(folder, "one", "echo $$ >> pids; exec sleep 1000"), {});
    const [ready = ""] = await platform.lastLines(SUPERVISOR, 1, {});
    const hanging = Number(/process (\d+) is ready/.exec(ready)?.[1]);
    process.kill(hanging, "SIGSTOP");
    try {
      await assert.rejects(platformWaiting(200).state({}), (error) => {
        assert.ok(isLifeboatError(error, "platform.no-answer"));
        assert.match(error.message, new RegExp(`the supervisor, process ${hanging}, has its place .* is halted$`));
        assert.match(error.remedy, new RegExp(`\`kill -9 ${hanging}\``));
        return true;
      });
    } finally {
      process.kill(hanging, "SIGKILL");
      await eventually("it is gone", async () => !(await systemProcesses.isAlive(hanging)));
    }
    assert.deepEqual(
      (await platform.state({})).map(({ name, mode, adopted }) => [name, mode, adopted]),
      [["one", "running", true]],
    );
    assert.equal((await readFile(path.join(folder, "pids"), "utf8")).trim().split("\n").length, 1);
  } finally {
    await platform.end({});
    await rm(folder, { recursive: true });
  }
});
