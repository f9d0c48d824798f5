import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import {
  NO_PROCESSES,
  planSmall,
  RESTORED_FOLDER,
  restoreSmall,
  TABLESPACES_UNDER,
  takeSmallBackup,
} from "../../test/support/small-restores.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import type { Files } from "../platform/files.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import { prepareDelta, spaceNeeds, spaceWarnings } from "./restore.ts";

test("what a plan says that it needs is what carrying it out is refused for", async () => {
  const vault = await createTestVault();
  const from = { vault, backup: await takeSmallBackup(vault) };
  const { files } = memoryFiles();
  await files.makeFolder("/srv");
  const { plan, place } = await planSmall(from, files, "whole");
  const holding = (freeBytes: number): Files => ({
    ...files,
    space: async (file) => ({ ...(await files.space(file)), freeBytes }),
  });
  const warningsOf = async (there: Files): Promise<readonly string[]> =>
    spaceWarnings(await spaceNeeds(there, plan, place, undefined));
  const [{ neededBytes } = assert.fail()] = await spaceNeeds(files, plan, place, undefined);
  const [little, enough] = [holding(neededBytes - 1), holding(neededBytes)];
  const [said = ""] = await warningsOf(little);
  assert.match(said, /: it will be refused$/);
  const message = said.replace(": it will be refused", "");
  await assert.rejects(restoreSmall(from, little), { code: "restore.no-space", message });
  assert.equal(await files.stat(RESTORED_FOLDER), undefined);
  assert.deepEqual(await warningsOf(enough), []);
  await restoreSmall(from, enough);
  // As an interrupted one would leave it.
  assert.match((await warningsOf(little)).join(), /restore left there is removed first$/);
});

test("data directory and tablespace on a disk each: a delta restore asks of each what is missing there", async () => {
  const vault = await createTestVault();
  const from = { vault, backup: await takeSmallBackup(vault) };
  const { files } = memoryFiles();
  await files.makeFolder("/srv");
  await restoreSmall(from, files);
  const twoDisks: Files = {
    ...files,
    space: async (file) => ({ ...(await files.space(file)), device: file.startsWith(TABLESPACES_UNDER) ? 2 : 1 }),
  };
  const needsOfDelta = async (): Promise<readonly number[]> => {
    const { tools, plan, place } = await planSmall(from, twoDisks, "delta");
    const delta = await prepareDelta(
      { ...tools, processes: NO_PROCESSES, onCompared: () => undefined },
      plan,
      place,
      {},
    );
    return (await spaceNeeds(twoDisks, plan, place, delta)).map(({ neededBytes }) => neededBytes);
  };
  const [ofTablespace, asked = 0] = await needsOfDelta();
  assert.equal(ofTablespace, 0);
  const lost = path.join(RESTORED_FOLDER, "base/5/16386");
  const { sizeBytes: lostBytes } = (await files.stat(lost)) ?? assert.fail();
  await files.remove(lost);
  assert.deepEqual(await needsOfDelta(), [0, asked + lostBytes]);
});

test("room stays for the segment with which a recovered server begins its timeline, however large segments are", async () => {
  const vault = await createTestVault();
  const from = { vault, backup: await takeSmallBackup(vault) };
  const { files } = memoryFiles();
  await files.makeFolder("/srv");
  const { plan, place } = await planSmall(from, files, "whole");
  const neededWith = async (walSegmentBytes: number): Promise<number> => {
    const [{ neededBytes } = assert.fail()] = await spaceNeeds(
      files,
      { ...plan, walSegmentBytes, segments: [] },
      place,
      undefined,
    );
    return neededBytes;
  };
  const GIB = 1024 ** 3;
  assert.equal((await neededWith(GIB)) - (await neededWith(GIB / 64)), 1.75 * GIB);
});
