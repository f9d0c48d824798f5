import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../../../test/support/receivers.ts";
import { isLifeboatError } from "../../errors/error.ts";
import { faultyFiles } from "../../platform/faulty-files.ts";
import { systemFiles } from "../../platform/files.ts";
import { systemLocks } from "../../platform/lock.ts";
import { testRegisterConformance } from "../conformance/register-conformance.ts";
import type { Epoch } from "../lease.ts";
import { fileRegister } from "./file-register.ts";

const MACHINE = { files: systemFiles, locks: systemLocks };
const ONE = 1 as Epoch;
const TWO = 2 as Epoch;

testRegisterConformance("a register in a file", async () => {
  const temporary = await temporaryFolder("register");
  const again = () => fileRegister(MACHINE, path.join(temporary.folder, "record.json"));
  return { register: again(), again, close: async () => await temporary[Symbol.asyncDispose]() };
});

test("a register whose write fails anywhere has the old value or the new", async () => {
  let reached = true;
  for (let at = 1; reached; at += 1) {
    await using temporary = await temporaryFolder("register");
    const file = path.join(temporary.folder, "record.json");
    const sound = fileRegister(MACHINE, file);
    await sound.write({ over: 0, epoch: ONE, value: "old" }, {});
    const faulty = faultyFiles(systemFiles, { at, errno: "ENOSPC", when: at % 2 === 0 ? "before" : "after" });
    const register = fileRegister({ ...MACHINE, files: faulty.files }, file);
    const written = await register.write({ over: 1, epoch: TWO, value: "new" }, {}).catch((error: unknown) => {
      assert.ok(isLifeboatError(error, "lease.store-failed"));
      return undefined;
    });
    reached = faulty.effects.length >= at;
    const content = await sound.read({});
    assert.ok(content?.value === "new" || (written === undefined && content?.value === "old"), `effect ${at}`);
  }
});

test("a register that is not understood is refused and left as it is", async () => {
  await using temporary = await temporaryFolder("register");
  const file = path.join(temporary.folder, "record.json");
  await writeFile(file, '{"format":"lifeboat-record","version":2}');
  const register = fileRegister(MACHINE, file);
  for (const call of [() => register.read({}), () => register.write({ over: 0, epoch: ONE, value: 1 }, {})]) {
    await assert.rejects(call(), (error) => isLifeboatError(error, "lease.record-damaged"));
  }
});
