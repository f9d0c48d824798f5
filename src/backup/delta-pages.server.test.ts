import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { keptPages, placesOf } from "../../test/support/page-places.ts";
import { changeFile, membersOf, type Recording, recordedWal, takeRecorded } from "../../test/support/recordings.ts";
import { assertRestored, restoreRecorded, targetIn } from "../../test/support/restored-files.ts";
import { recordSmallCluster } from "../../test/support/small-cluster.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import type { Lsn } from "../postgres/lsn.ts";
import { parseRelationPath } from "../postgres/relation-file.ts";
import type { BackupRecord } from "../vault/backups.ts";
import type { Vault } from "../vault/vault.ts";
import type { WalCoverage } from "./backup.ts";

const { first, second } = await recordSmallCluster();

/** The file of the table that both recordings have, and that grew in between. */
const TABLE = membersOf(first).find(
  ({ path, content }) => parseRelationPath(path) !== undefined && content.byteLength > BLOCK_BYTES * 6,
)?.path;
assert.ok(TABLE !== undefined);

/** Takes a recorded backup with all WAL since its parent at hand, and no setting changed in it. */
function takeDelta(recording: Recording, vault: Vault): Promise<BackupRecord> {
  const between: WalCoverage["between"] = {
    holds: async () => "held",
    settings: async ({ to }) => ({ kind: "same", reached: to }),
    unsoundCopy: async () => undefined,
  };
  return takeRecorded(recording, vault, { tools: { wal: { ...recordedWal(recording, vault), between } } });
}

function setLsn(page: Buffer, lsn: bigint): void {
  page.writeUInt32LE(Number(lsn >> 32n), 0);
  page.writeUInt32LE(Number(lsn & 0xffffffffn), 4);
}

const START = first.begin.startLsn as bigint;
const SEGMENT = 1024n * 1024n;
const flip = (page: Buffer): void => void page.writeUInt8(page.readUInt8(BLOCK_BYTES - 1) ^ 1, BLOCK_BYTES - 1);
const lsn = (value: bigint) => (page: Buffer) => setLsn(page, value);

/** One page each: what is done to it in both backups, or in the later one alone, and whether it may be kept. */
const PAGES: readonly {
  readonly what: string;
  readonly both?: (page: Buffer) => void;
  readonly later?: (page: Buffer) => void;
  readonly kept: boolean;
}[] = [
  { what: "the same bytes, an LSN before the parent's start", both: lsn(START - 8n), kept: true },
  { what: "A2, A4: the same LSN, other bytes", both: lsn(START - 8n), later: flip, kept: false },
  { what: "A4: an LSN as old, but another", both: lsn(START - 8n), later: lsn(START - 16n), kept: false },
  { what: "the same bytes, an LSN at the parent's start: changed while it was taken", both: lsn(START), kept: false },
  { what: "A7: the LSN of a GiST index being built", both: lsn(1n), kept: false },
  { what: "A7: a counter in place of an LSN, below the first segment's end", both: lsn(SEGMENT - 1n), kept: false },
  { what: "A7: an empty page", both: (page) => void page.writeUInt16LE(0, 14), kept: false },
];

describe("a page of a delta", () => {
  test("is kept only where the rules allow it, and restored as it is now in every case", async () => {
    const parts = (content: Buffer): readonly Buffer[] =>
      PAGES.map((_, page) => content.subarray(page * BLOCK_BYTES, (page + 1) * BLOCK_BYTES));
    const parent = changeFile(first, TABLE, (content) => {
      for (const [number, page] of parts(content).entries()) PAGES[number]?.both?.(page);
    });
    const earlier = parts(membersOf(parent).find(({ path }) => path === TABLE)?.content ?? Buffer.alloc(0));
    const child = changeFile(second, TABLE, (content) => {
      for (const [number, page] of parts(content).entries()) {
        earlier[number]?.copy(page);
        PAGES[number]?.later?.(page);
      }
    });
    const vault = await createTestVault();
    const before = await placesOf(vault, await takeDelta(parent, vault));
    const backup = await takeDelta(child, vault);
    assert.equal(backup.whyFull, null);
    const places = await placesOf(vault, backup);
    const kept = keptPages(before, places, TABLE);
    for (const [number, page] of PAGES.entries()) assert.equal(kept.includes(number), page.kept, page.what);
    const [had, has] = [before.get(TABLE)?.length ?? 0, places.get(TABLE)?.length ?? 0];
    assert.ok(has > had && had > PAGES.length, `${had} pages, then ${has}`);
    assert.ok(
      kept.every((page) => page < had),
      "A7: nothing is kept beyond the parent's length",
    );
    await withFolder(async (folder) => {
      await restoreRecorded(vault, backup, targetIn(folder));
      await assertRestored(child, targetIn(folder));
    });
  });
});

describe("a backup that begins before its parent ended (rule A6)", () => {
  for (const [early, why] of [
    [0n, null],
    [1n, "starts-before-parent-ended"],
  ] as const) {
    test(`by ${early} bytes: ${why ?? "may keep its pages"}`, async () => {
      const vault = await createTestVault();
      const parent = await takeDelta(first, vault);
      const startLsn = ((first.end.endLsn as bigint) - early) as Lsn;
      const backup = await takeDelta({ ...second, begin: { ...second.begin, startLsn } }, vault);
      assert.deepEqual([backup.whyFull, backup.parent], [why, why === null ? parent.backupId : null]);
      const kept = keptPages(await placesOf(vault, parent), await placesOf(vault, backup), TABLE);
      assert.equal(kept.length > 0, why === null);
    });
  }
});
