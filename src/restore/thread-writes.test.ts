import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { withFolder } from "../../test/support/backups.ts";
import { repetitions } from "../../test/support/effort.ts";
import { FAILURES } from "../../test/support/failing-thread-writes.ts";
import { NODE_OPTIONS } from "../../test/support/program.ts";
import {
  differencesFrom,
  LARGE_FILE,
  RESTORED_FOLDER,
  restoreSmall,
  serverWithLargeFile,
  smallCouldStart,
  TABLESPACES_UNDER,
  takeSmallBackup,
} from "../../test/support/small-restores.ts";
import type { ThreadWriteTry } from "../../test/support/thread-writes-process.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { type FileEffect, faultyFiles } from "../platform/faulty-files.ts";
import { memoryFiles } from "../platform/memory-files.ts";

const SUPPORT = new URL("../../test/support/", import.meta.url);
/** Of some 270 writes, which are alike, one; in the long run each. */
const STRIDE = repetitions(250, 1);

const CODES = { ENOSPC: "platform.disk-full", EIO: "platform.file-failed", short: "platform.disk-full" } as const;

async function sweep(folder: string): Promise<readonly ThreadWriteTry[]> {
  const preload = new URL("failing-thread-writes.ts", SUPPORT).href;
  const program = new URL("thread-writes-process.ts", SUPPORT).pathname;
  const args = [...NODE_OPTIONS, `--import=${preload}`, program, folder, `${STRIDE}`];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as ThreadWriteTry);
}

test("a write that fails in a thread, one after the other: the file and what to do are told, nothing can start, the next restore clears it", async () => {
  const tries = await withFolder(sweep);
  for (const failure of FAILURES) {
    const these = tries.filter((each) => each.failure === failure);
    const last = these.pop();
    // It goes through when none is left to fail, and not before.
    assert.ok(last !== undefined && last.error === undefined && last.writes > 100, JSON.stringify(last));
    assert.deepEqual([last.couldStart, last.differences], [true, []]);
    if (failure === "halves") {
      assert.equal(these.length, 0);
      continue;
    }
    assert.ok(these.length > 0 && last.at > last.writes, `${these.length} failed, up to ${last.at} of ${last.writes}`);
    for (const { at, writes, error, couldStart } of these) {
      const where: string = `${failure} at write ${at}: ${error?.message}`;
      assert.ok(writes >= at, `${where}: the planned failure fired`);
      assert.equal(error?.code, CODES[failure], where);
      assert.match(error.message, new RegExp(LARGE_FILE), where);
      assert.match(error.remedy, /^[A-Z].+\.$/, where);
      assert.equal(couldStart, false, where);
    }
  }
});

/** 16 MiB, of which little is written: such a file is lent out, and nothing is worth a thread. */
const server = serverWithLargeFile(2_048, (page) => page % 200 === 0);

test("each effect on a file that is lent out fails in turn, its writes by descriptor among them: nothing can start, and the next restore clears it", async () => {
  const vault = await createTestVault();
  const from = { vault, backup: await takeSmallBackup(vault, server) };
  const { files } = memoryFiles();
  await files.makeFolder("/srv");
  const isOnLarge = ({ path: at }: FileEffect): boolean => at.endsWith(LARGE_FILE);
  const quiet = faultyFiles(files);
  await restoreSmall(from, quiet.files);
  assert.ok(quiet.effects.filter((each) => isOnLarge(each) && each.operation === "write").length > 10);
  for (const fault of [
    { errno: "EIO", when: "before" },
    { errno: "EIO", when: "after" },
    { errno: "ENOSPC", when: "short" },
  ] as const) {
    // Each has to clear what the one before left.
    for (const each of [RESTORED_FOLDER, TABLESPACES_UNDER]) await files.removeTree(each);
    let failed = 0;
    for (;;) {
      let seen = 0;
      const due = failed + 1;
      const isDue = (effect: FileEffect): boolean => {
        if (isOnLarge(effect)) seen += 1;
        return seen === due && isOnLarge(effect);
      };
      const faulty = faultyFiles(files, { ...fault, at: isDue });
      const error = await restoreSmall(from, faulty.files).catch((thrown: unknown) => thrown);
      if (error === undefined) break;
      failed += 1;
      faulty.assertFired();
      const where = `${fault.errno} ${fault.when} at effect ${failed}: ${String(error)}`;
      assert.ok(isLifeboatError(error, fault.errno === "EIO" ? "platform.file-failed" : "platform.disk-full"), where);
      assert.ok(error.message.includes(LARGE_FILE), where);
      assert.equal(await smallCouldStart(files), false, where);
    }
    assert.deepEqual(await differencesFrom(server, files), []);
    assert.ok(failed > 10, `${failed} failed`);
  }
});
