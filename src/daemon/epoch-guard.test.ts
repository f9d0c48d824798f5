import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/receivers.ts";
import type { Epoch } from "../failover/ports.ts";
import { fileRegister } from "../lease/file/file-register.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { EpochGuard } from "./epoch-guard.ts";

test("orders of one epoch that come together are all admitted, and an earlier one is refused, also by another guard", async () => {
  await using temporary = await temporaryFolder("epoch-guard");
  const register = () =>
    fileRegister({ files: systemFiles, locks: systemLocks }, path.join(temporary.folder, "node-a.json"));
  const guard = new EpochGuard(register());
  const [five, six] = [5 as Epoch, 6 as Epoch];
  assert.deepEqual(await Promise.all([guard.admit(six, {}), guard.admit(six, {}), guard.admit(five, {})]), [
    undefined,
    undefined,
    { kind: "stale-epoch", seen: 6 },
  ]);
  assert.deepEqual(await new EpochGuard(register()).admit(five, {}), { kind: "stale-epoch", seen: 6 });
});
