import assert from "node:assert/strict";
import { test } from "node:test";
import { type Story, testPowerCuts } from "../../../test/support/power-cuts.ts";
import { faultyFiles } from "../faulty-files.ts";
import { memoryFiles } from "../memory-files.ts";
import { hasRecord, keepRecordReserve, readRecord, removeRecord, writeRecord } from "./record.ts";

const FOLDER = "/srv/stack";

function writing(): Story {
  let promised: "nothing" | "there" | "gone" = "nothing";
  return {
    before: (files) => files.makeFolder(FOLDER),
    live: async (files) => {
      await keepRecordReserve(files, FOLDER);
      await writeRecord(files, FOLDER, { epoch: 3, components: new Map() });
      promised = "there";
      promised = "nothing";
      await removeRecord(files, FOLDER);
      promised = "gone";
    },
    after: async (files) => {
      if (promised !== "nothing") assert.equal(await hasRecord(files, FOLDER), promised === "there");
      await readRecord(files, FOLDER);
      await keepRecordReserve(files, FOLDER);
    },
  };
}

testPowerCuts("the supervisor's record", writing, ["src/platform/local/record.ts removeRecord: syncFolder"]);

test("a disk that is full when the blocks of the reserve are to be given leaves none that seems kept", async () => {
  const { files } = memoryFiles();
  await files.makeFolder(FOLDER);
  // src/platform/reserve.ts keepReserve: sync
  const at = ({ operation }: { readonly operation: string }): boolean => operation === "sync";
  const faulty = faultyFiles(files, { at, errno: "ENOSPC", when: "before" });
  await keepRecordReserve(faulty.files, FOLDER);
  faulty.assertFired();
  assert.deepEqual(await files.list(FOLDER), []);
});
