import assert from "node:assert/strict";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/receivers.ts";
import { SPOOL_SEGMENT_BYTES as MIB, SPOOL_STATE, SPOOL_START as START } from "../../test/support/spool-states.ts";
import { writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { systemClock } from "../platform/clock.ts";
import { fileError, systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import { lsnAdd, type Timeline } from "../postgres/lsn.ts";
import type { Vault } from "../vault/vault.ts";
import { putSegment } from "../vault/wal-store.ts";
import { holdStill } from "./held-end.ts";
import { openSpool, type Spool } from "./spool.ts";

const ONE = 1 as Timeline;
const STATE = { ...SPOOL_STATE, rangeFrom: START };
/** Ten records of 300 kB: some cross from one segment into the next. */
const WAL = writeSyntheticWal(
  { start: START, walSegmentBytes: MIB },
  Array.from({ length: 10 }, (_, index) => ({ rmgr: 0, info: 0, xid: index, mainData: Buffer.alloc(300_000, index) })),
);

function open(folder: string): Promise<Spool> {
  return openSpool({ files: systemFiles, locks: systemLocks, clock: systemClock, random: systemRandom }, folder, {});
}

/** Receives the first `bytes` of WAL, and stores complete segments in the vault. */
async function receive(spool: Spool, vault: Vault, bytes: number): Promise<void> {
  await spool.adopt(STATE);
  await spool.continueAt({ timeline: ONE, lsn: START });
  const complete: Parameters<Parameters<Spool["append"]>[1]>[0][] = [];
  await spool.append(WAL.bytes.subarray(0, bytes), (file) => complete.push(file));
  await spool.flush();
  for (const file of complete) {
    const stored = { systemId: STATE.systemId, segment: file.segment, bytes: await spool.readFile(file) };
    await putSegment(vault, stored, {});
    await spool.remove(file);
  }
}

for (const [what, cut] of [
  ["behind a record", WAL.records[2]?.end ?? 0],
  ["inside a record", (WAL.records[2]?.end ?? 0) + 1000],
  ["inside a record that began in the segment before", MIB + 20_000],
  ["at the end of a segment", MIB],
] as const) {
  test(`WAL that was cut ${what} is held up to there, its last whole record ends before; the same after a restart`, async () => {
    await using folder = await temporaryFolder("held");
    const vault = await createTestVault();
    const whole = WAL.records.findLast(({ end }) => end <= cut);
    const spool = await open(folder.folder);
    await receive(spool, vault, cut);
    const { systemId, timeline, history, walSegmentBytes, rangeFrom } = STATE;
    const expected = {
      ...{ systemId, timeline, history, walSegmentBytes, rangeFrom },
      flushedLsn: lsnAdd(START, cut),
      recordEndLsn: lsnAdd(START, whole?.end ?? 0),
    };
    assert.deepEqual(await holdStill({ spool, vault }, {}), expected);
    assert.equal(spool.flushed, expected.flushedLsn);
    await spool.close();
    const again = await open(folder.folder);
    assert.deepEqual(await holdStill({ spool: again, vault }, {}), expected);
    await again.append(WAL.bytes.subarray(cut, cut + 100_000), () => {});
    await again.close();
  });
}

test("of a spool that received nothing there is nothing to hold", async () => {
  await using folder = await temporaryFolder("held");
  const spool = await open(folder.folder);
  assert.equal(await holdStill({ spool, vault: await createTestVault() }, {}), undefined);
  await spool.close();
});

test("where the vault does not answer, the end of the last record stays unknown and the end of all bytes does not", async () => {
  await using folder = await temporaryFolder("held");
  const vault = await createTestVault();
  const spool = await open(folder.folder);
  await receive(spool, vault, MIB + 20_000);
  const failing: Vault = {
    ...vault,
    store: {
      ...vault.store,
      get: () => Promise.reject(fileError("read", "x", Object.assign(new Error(), { code: "EIO" }))),
    },
  };
  const held = await holdStill({ spool, vault: failing }, {});
  assert.equal(held?.flushedLsn, lsnAdd(START, MIB + 20_000));
  assert.equal(held?.recordEndLsn, undefined);
  await spool.close();
});

test("a timeline that has only begun is held up to the switch where its ancestor is", async () => {
  await using folder = await temporaryFolder("held");
  const vault = await createTestVault();
  const spool = await open(folder.folder);
  const switchAt = WAL.records[2]?.end ?? 0;
  await receive(spool, vault, switchAt + 1000);
  const two = 2 as Timeline;
  await spool.adopt({
    ...STATE,
    timeline: two,
    history: `1\t0/${lsnAdd(START, switchAt).toString(16).toUpperCase()}\tx\n`,
  });
  await spool.endOthers(two);
  const held = await holdStill({ spool, vault }, {});
  assert.equal(held?.timeline, two);
  assert.equal(held?.flushedLsn, lsnAdd(START, switchAt));
  assert.equal(held?.recordEndLsn, lsnAdd(START, switchAt), "what the old timeline had beyond is none of this one's");
  await spool.close();
});
