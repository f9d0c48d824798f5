import assert from "node:assert/strict";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/receivers.ts";
import { recordedFrame } from "../../test/support/recorded-frame.ts";
import { EXIT } from "../errors/entry.ts";
import { probeEngine } from "./engine-probe.ts";
import { probeVerb } from "./probe.ts";
import { runCli } from "./run.ts";

test("a probe without a load is refused first, then one of a stack that was never started", async () => {
  await using temporary = await temporaryFolder("probe");
  const run = async (...args: readonly string[]) => {
    const frame = recordedFrame();
    const line = ["probe", "--folders-state", temporary.folder, ...args];
    const status = await runCli(line, [probeVerb(probeEngine)], frame);
    return { status, told: frame.stderr.written() };
  };
  const idle = await run("--rate", "0", "--reads", "0");
  assert.equal(idle.status, EXIT.usage);
  assert.match(idle.told, /--rate and --reads are both 0/);
  assert.match((await run()).told, /was never started.*\n.*lifeboat up.*\n.*stack\.not-started/);
});

test("the role's password is read as every secret is: no folder, not an empty file", async () => {
  await using temporary = await temporaryFolder("probe");
  for (const file of [temporary.folder, "/dev/null"]) {
    const frame = recordedFrame();
    const line = ["probe", "--folders-state", temporary.folder, "--user", "shop", "--password-file", file];
    assert.equal(await runCli(line, [probeVerb(probeEngine)], frame), EXIT.usage);
    assert.match(frame.stderr.written(), /config\.secret-unusable/);
  }
});
