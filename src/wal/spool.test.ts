import assert from "node:assert/strict";
import { appendFile, readFile, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/receivers.ts";
import { writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/registry.ts";
import { systemClock } from "../platform/clock.ts";
import { type FileFault, faultyFiles } from "../platform/faulty-files.ts";
import { type Files, systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import { LSN_NONE, type Lsn, lsnAdd, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { openSpool, type Spool } from "./spool.ts";
import { listSpool } from "./spool-files.ts";
import type { SpoolState } from "./spool-state.ts";

const MIB = 1024 * 1024;
const START = BigInt(5 * MIB) as Lsn;
const ONE = 1 as Timeline;
const STATE: SpoolState = {
  vaultId: "0".repeat(32),
  systemId: "7000000000000000001" as SystemId,
  walSegmentBytes: MIB,
  timeline: ONE,
  history: "",
  slot: "lifeboat_vault",
  flushedLsn: START,
  rangeFrom: undefined,
  gaps: [],
};
/** One and a half segments of WAL, with headers that are right. */
const WAL = writeSyntheticWal(
  { start: START, walSegmentBytes: MIB },
  Array.from({ length: 15 }, (_, index) => ({ rmgr: 0, info: 0, xid: index, mainData: Buffer.alloc(100_000, index) })),
).bytes.subarray(0, 1.5 * MIB);
const GROUP_BYTES = 400_000;

function open(folder: string, files: Files = systemFiles): Promise<Spool> {
  return openSpool({ files, locks: systemLocks, clock: systemClock, random: systemRandom }, folder, {});
}

function failsWith(code: ErrorCode): (error: unknown) => boolean {
  return (error) => isLifeboatError(error, code);
}

/** Receives what is missing of WAL, in groups; `confirmed` is what a server would have been told. */
async function receive(spool: Spool, confirmed: { lsn: Lsn }): Promise<void> {
  if (spool.state === undefined) await spool.adopt(STATE);
  await spool.completeFull();
  const ends = (await spool.list()).map(({ end }) => end);
  const at = ends.reduce((newest, end) => (end > newest ? end : newest), START);
  await spool.continueAt({ timeline: ONE, lsn: at });
  if (at > START) spool.trustBefore();
  for (let from = Number(at - START); from < WAL.byteLength; from += GROUP_BYTES) {
    await spool.append(WAL.subarray(from, from + GROUP_BYTES), () => {});
    confirmed.lsn = await spool.flush();
  }
}

/** What lies in the spool, read past any fault. */
async function content(spool: Spool): Promise<Buffer> {
  const files = await listSpool(systemFiles, spool.folder, STATE);
  const parts = await Promise.all(files.map(({ path: file }) => readFile(file)));
  return Buffer.concat(parts);
}

test("what is appended is held, complete segments under their names and the rest as a partial", async () => {
  await using temporary = await temporaryFolder("spool");
  const spool = await open(temporary.folder);
  const confirmed = { lsn: LSN_NONE };
  await receive(spool, confirmed);
  assert.equal(confirmed.lsn, lsnAdd(START, WAL.byteLength));
  assert.equal(spool.written, confirmed.lsn);
  const names = (await spool.list()).map(({ kind, path: file }) => [kind, path.basename(file)]);
  assert.deepEqual(names, [
    ["complete", "000000010000000000000005"],
    ["partial", "000000010000000000000006.partial"],
  ]);
  assert.ok((await content(spool)).equals(WAL));
  const stretch = { timeline: ONE, from: lsnAdd(START, MIB - 8192), to: lsnAdd(START, MIB) };
  assert.ok((await spool.read(stretch))?.equals(WAL.subarray(MIB - 8192, MIB)));
  assert.equal(await spool.read({ ...stretch, timeline: 2 as Timeline }), undefined);
  await spool.close();
  await spool.close();
});

test("killed at any effect on the disk, a spool keeps what was confirmed and goes on to the same bytes", async () => {
  let fault: FileFault = { at: 1, errno: "EIO", when: "short", forever: true };
  for (let finished = false; !finished; fault = { ...fault, at: fault.at + 1 }) {
    await using temporary = await temporaryFolder("spool");
    const confirmed = { lsn: LSN_NONE };
    const faulty = faultyFiles(systemFiles, fault);
    const first = await open(temporary.folder, faulty.files).catch(() => undefined);
    if (first !== undefined) {
      await receive(first, confirmed).catch(() => {});
      await first.close().catch(() => {});
    }
    finished = faulty.effects.length < fault.at;

    const second = await open(temporary.folder);
    const held = await content(second);
    assert.ok(lsnAdd(START, held.byteLength) >= confirmed.lsn, `effect ${fault.at}: what was confirmed is held`);
    assert.ok(WAL.subarray(0, held.byteLength).equals(held), `effect ${fault.at}: what is held is what was sent`);
    await receive(second, confirmed);
    assert.ok((await content(second)).equals(WAL), `effect ${fault.at}: goes on to the same bytes`);
    await second.close();
  }
  assert.ok(fault.at > 20, "the sweep met every effect");
});

for (const when of ["after", "short"] as const) {
  test(`failed ${when} any one effect on the disk, the same process abandons and goes on to the same bytes`, async () => {
    let fault: FileFault = { at: 1, errno: "ENOSPC", when };
    for (let finished = false; !finished; fault = { ...fault, at: fault.at + 1 }) {
      await using temporary = await temporaryFolder("spool");
      const confirmed = { lsn: LSN_NONE };
      const faulty = faultyFiles(systemFiles, fault);
      const spool = await open(temporary.folder, faulty.files).catch(() => undefined);
      if (spool === undefined) continue;
      await receive(spool, confirmed).catch(async () => {
        const before = confirmed.lsn;
        await spool.abandon();
        const ends = (await spool.list()).map(({ end }) => end);
        assert.ok(before === LSN_NONE || ends.some((end) => end >= before), `effect ${fault.at}`);
        await receive(spool, confirmed);
      });
      finished = faulty.effects.length < fault.at;
      assert.ok((await content(spool)).equals(WAL), `effect ${fault.at}: goes on to the same bytes`);
      await spool.close();
    }
    assert.ok(fault.at > 20, "the sweep met every effect");
  });
}

test("what an earlier process left is written again and synced before it counts as flushed", async () => {
  await using temporary = await temporaryFolder("spool");
  const first = await open(temporary.folder);
  await receive(first, { lsn: LSN_NONE });
  await first.close();
  const faulty = faultyFiles(systemFiles);
  const second = await open(temporary.folder, faulty.files);
  const before = faulty.effects.length;
  await second.continueAt({ timeline: ONE, lsn: lsnAdd(START, WAL.byteLength) });
  assert.equal(second.flushed, lsnAdd(START, WAL.byteLength));
  const effects = faulty.effects.slice(before).filter(({ path: file }) => file.endsWith(".partial"));
  const operations = effects.map(({ operation }) => operation).filter((each) => each === "write" || each === "sync");
  assert.deepEqual(operations, ["write", "sync"]);
  await second.close();
});

test("the partial of a timeline that was left is kept apart", async () => {
  await using temporary = await temporaryFolder("spool");
  const spool = await open(temporary.folder);
  await receive(spool, { lsn: LSN_NONE });
  await spool.endOthers(2 as Timeline);
  const last = (await spool.list()).at(-1);
  assert.equal(last?.kind, "ended");
  assert.equal(path.basename(last?.path ?? ""), "000000010000000000000006.partial.tl00000002");
  assert.equal(last?.end, lsnAdd(START, WAL.byteLength));
  await spool.close();
});

test("a segment whose first page is not what its name says is refused before anything of it is flushed", async () => {
  await using temporary = await temporaryFolder("spool");
  const spool = await open(temporary.folder);
  await spool.adopt({ ...STATE, systemId: "7000000000000000002" as SystemId });
  await spool.continueAt({ timeline: ONE, lsn: START });
  await assert.rejects(
    spool.append(WAL.subarray(0, 100), () => {}),
    failsWith("wal.segment-damaged"),
  );
  assert.equal(spool.flushed, LSN_NONE);
  await spool.close();
});

test("a state that is not ours is damage, and so is a segment of the wrong length", async () => {
  await using temporary = await temporaryFolder("spool");
  const spool = await open(temporary.folder);
  await receive(spool, { lsn: LSN_NONE });
  const [complete] = await spool.list();
  await spool.close();
  await truncate(complete?.path ?? "", 100);
  const second = await open(temporary.folder);
  await assert.rejects(second.list(), failsWith("wal.spool-damaged"));
  await second.close();
  await writeFile(path.join(temporary.folder, "state.json"), "{}");
  await assert.rejects(open(temporary.folder), failsWith("wal.spool-damaged"));
});

test("a partial that is longer than what may be trusted of it is damage, never cut", async () => {
  await using temporary = await temporaryFolder("spool");
  const spool = await open(temporary.folder);
  await receive(spool, { lsn: LSN_NONE });
  const partial = (await spool.list()).at(-1)?.path ?? "";
  await spool.close();
  await appendFile(partial, Buffer.alloc(10));
  const second = await open(temporary.folder);
  await assert.rejects(
    second.continueAt({ timeline: ONE, lsn: lsnAdd(START, WAL.byteLength) }),
    failsWith("wal.spool-damaged"),
  );
  assert.equal((await readFile(partial)).byteLength, MIB / 2 + 10);
  await second.close();
});

test("a second owner of a spool is refused", async () => {
  await using temporary = await temporaryFolder("spool");
  const spool = await open(temporary.folder);
  await assert.rejects(open(temporary.folder), failsWith("wal.spool-busy"));
  await spool.close();
  await (await open(temporary.folder)).close();
});
