import assert from "node:assert/strict";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/receivers.ts";
import { writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { type Files, fileError, systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import { type Lsn, lsnAdd, type SystemId, segmentName, type Timeline } from "../postgres/lsn.ts";
import { faultyStore, type StoreFault } from "../store/faulty/faulty-store.ts";
import type { Vault } from "../vault/vault.ts";
import { putHistory, putSegment } from "../vault/wal-store.ts";
import { fetchWal, getTail, type WalSources } from "./get.ts";
import { readHoldings } from "./holdings.ts";
import { walLineage } from "./ranges.ts";
import { openSpool } from "./spool.ts";

const MIB = 1024 * 1024;
const START = BigInt(5 * MIB) as Lsn;
const ONE = 1 as Timeline;
const SYSTEM = "7000000000000000001" as SystemId;
const walFrom = (start: Lsn): Buffer =>
  writeSyntheticWal(
    { start, walSegmentBytes: MIB },
    Array.from({ length: 15 }, (_, index) => ({
      rmgr: 0,
      info: 0,
      xid: index,
      mainData: Buffer.alloc(100_000, index),
    })),
  ).bytes.subarray(0, 1.25 * MIB);
const WAL = walFrom(START);
const COMPLETE = "000000010000000000000005";
const PARTIAL = "000000010000000000000006";
const STORED = "000000010000000000000004";
const HISTORY = Buffer.from("1\t0/580000\tno recovery target specified\n");

/** A spool with a complete segment and a partial, a vault with the segment before and a history. */
async function place(faults: readonly StoreFault[] = []): Promise<AsyncDisposable & { readonly sources: WalSources }> {
  const temporary = await temporaryFolder("get");
  const vault = await createTestVault();
  await putSegment(vault, { systemId: SYSTEM, segment: STORED, bytes: Buffer.alloc(MIB, 4) }, {});
  await putHistory(vault, { systemId: SYSTEM, timeline: 2 as Timeline, content: HISTORY }, {});
  const spoolFolder = temporary.folder;
  const tools = { files: systemFiles, locks: systemLocks, clock: systemClock, random: systemRandom };
  const spool = await openSpool(tools, spoolFolder, {});
  await spool.adopt({
    vaultId: vault.id,
    systemId: SYSTEM,
    walSegmentBytes: MIB,
    timeline: ONE,
    history: "",
    slot: "s",
    flushedLsn: START,
    rangeFrom: undefined,
    gaps: [],
  });
  await spool.continueAt({ timeline: ONE, lsn: START });
  await spool.append(WAL, () => {});
  await spool.flush();
  await spool.close();
  const store = faultyStore({ store: vault.store, clock: systemClock, faults }).store;
  const faulty: Vault = { ...vault, store };
  return {
    sources: { vault: faulty, files: systemFiles, spoolFolder, systemId: SYSTEM },
    [Symbol.asyncDispose]: () => temporary[Symbol.asyncDispose](),
  };
}

test("segments are found in the spool and in the vault, histories in the vault", async () => {
  await using held = await place();
  const spooled = await fetchWal(held.sources, COMPLETE, {});
  assert.ok(spooled.kind === "found" && spooled.from === "spool");
  assert.ok(spooled.bytes.equals(WAL.subarray(0, MIB)));
  const stored = await fetchWal(held.sources, STORED, {});
  assert.ok(stored.kind === "found" && stored.from === "vault");
  assert.ok(stored.bytes.equals(Buffer.alloc(MIB, 4)));
  const history = await fetchWal(held.sources, "00000002.history", {});
  assert.ok(history.kind === "found" && history.bytes.equals(HISTORY));
});

test("a partial is never handed out as its segment, and what neither has is absent", async () => {
  await using held = await place();
  for (const name of [PARTIAL, `${PARTIAL}.partial`, "000000010000000000000007", "00000003.history"]) {
    assert.deepEqual(await fetchWal(held.sources, name, {}), { kind: "absent" }, name);
  }
  assert.deepEqual(await fetchWal(held.sources, "000000010000000000000002.00000028.backup", {}), { kind: "absent" });
});

test("without a spool, the vault alone decides", async () => {
  await using held = await place();
  const { spoolFolder: _, ...sources } = held.sources;
  assert.equal((await fetchWal(sources, STORED, {})).kind, "found");
  assert.deepEqual(await fetchWal(sources, COMPLETE, {}), { kind: "absent" });
  assert.deepEqual(await getTail(sources, PARTIAL, {}), { kind: "absent" });
});

test("a vault that fails makes what the spool does not have unknown, and hides nothing that it has", async () => {
  await using held = await place([
    { kind: "fail-before", at: 1 },
    { kind: "fail-before", at: 2 },
  ]);
  for (const name of ["000000010000000000000007", "00000002.history"]) {
    const answer = await fetchWal(held.sources, name, {});
    assert.ok(answer.kind === "unknown" && answer.error.code === "store.failed", name);
  }
  assert.equal((await fetchWal(held.sources, COMPLETE, {})).kind, "found");
});

test("a damaged object is unknown and not absent", async () => {
  await using held = await place([{ kind: "flipped", at: 1, on: "get", offset: 100 }]);
  const answer = await fetchWal(held.sources, STORED, {});
  assert.ok(answer.kind === "unknown" && answer.error.code === "vault.object-damaged");
});

test("a spool that cannot be read makes what the vault does not have unknown", async () => {
  await using held = await place();
  const broken: Files = {
    ...systemFiles,
    readFile: (file) => Promise.reject(fileError("read", file, Object.assign(new Error("no"), { code: "EIO" }))),
  };
  const sources = { ...held.sources, files: broken };
  const answer = await fetchWal(sources, COMPLETE, {});
  assert.ok(answer.kind === "unknown" && answer.error.code === "platform.file-failed");
  assert.equal((await fetchWal(sources, STORED, {})).kind, "found");
  assert.equal((await getTail(sources, PARTIAL, {})).kind, "unknown");
});

test("a spool of another system holds nothing of this one", async () => {
  await using held = await place();
  const sources = { ...held.sources, systemId: "7000000000000000002" as SystemId };
  assert.deepEqual(await fetchWal(sources, COMPLETE, {}), { kind: "absent" });
});

test("what is no name of WAL is the caller's mistake", async () => {
  await using held = await place();
  for (const name of ["../../etc/passwd", "", "00000001000000000000000g", "1.history"]) {
    await assert.rejects(fetchWal(held.sources, name, {}), (error) => isLifeboatError(error, "wal.bad-name"), name);
  }
});

test("a stop on request is neither absent nor unknown", async () => {
  await using held = await place();
  const signal = AbortSignal.abort();
  await assert.rejects(fetchWal(held.sources, STORED, { signal }), (error) =>
    isLifeboatError(error, "platform.aborted"),
  );
});

test("the tail is a whole segment with zeros behind its valid bytes", async () => {
  await using held = await place();
  const tail = await getTail(held.sources, PARTIAL, {});
  assert.ok(tail.kind === "found");
  assert.equal(tail.validBytes, MIB / 4);
  assert.equal(tail.endLsn, lsnAdd(START, WAL.byteLength));
  assert.equal(tail.bytes.byteLength, MIB);
  assert.ok(tail.bytes.subarray(0, MIB / 4).equals(WAL.subarray(MIB)));
  assert.ok(tail.bytes.subarray(MIB / 4).every((byte) => byte === 0));
  for (const other of [COMPLETE, "000000010000000000000007", "000000020000000000000006"]) {
    assert.deepEqual(await getTail(held.sources, other, {}), { kind: "absent" });
  }
});

test("the tail before a gap is there as well, whatever was received behind the gap", async () => {
  await using held = await place();
  const tools = { files: systemFiles, locks: systemLocks, clock: systemClock, random: systemRandom };
  const spool = await openSpool(tools, held.sources.spoolFolder ?? "", {});
  const behind = lsnAdd(START, 4 * MIB);
  await spool.continueAt({ timeline: ONE, lsn: behind });
  await spool.append(walFrom(behind), () => {});
  await spool.flush();
  await spool.close();
  const { tails } = await readHoldings(held.sources, MIB, {});
  assert.equal(tails.length, 2);
  for (const { start, end } of tails) {
    const segment = segmentName({ timeline: ONE, lsn: start, walSegmentBytes: MIB });
    const tail = await getTail(held.sources, segment, {});
    assert.equal(tail.kind === "found" ? tail.endLsn : tail.kind, end);
  }
});

test("holdings are the sum of vault and spool", async () => {
  await using held = await place();
  const holdings = await readHoldings(held.sources, MIB, {});
  assert.deepEqual(holdings.segments, [STORED, COMPLETE]);
  const lineage = walLineage(holdings, 2 as Timeline);
  assert.deepEqual(
    lineage.ranges.map(({ from, to }) => [from, to]),
    [[BigInt(4 * MIB), BigInt(5.5 * MIB)]],
  );
  assert.equal(walLineage(holdings, ONE).ranges[0]?.to, lsnAdd(START, WAL.byteLength));
});

test("holdings of a vault whose listing fails are an error and not less", async () => {
  await using held = await place([{ kind: "fail-before", at: 1, on: "list" }]);
  await assert.rejects(readHoldings(held.sources, MIB, {}), (error) => isLifeboatError(error, "store.failed"));
});
