import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { type Story, testPowerCuts } from "../../test/support/power-cuts.ts";
import { isLifeboatError } from "../errors/error.ts";
import { type Files, fileErrorOf } from "../platform/files.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import { historyName, type Lsn, segmentName, type Timeline } from "../postgres/lsn.ts";
import { PAGE_HEADER_BYTES } from "../wal/records/page.ts";
import { type Evidence, keepWalFrom } from "./evidence.ts";

const MIB = 1024 * 1024;
const DATA = "/srv/stack/db/data";
const of = { timeline: 1 as Timeline, fork: BigInt(5 * MIB + 100) as Lsn, walSegmentBytes: MIB };
const SEGMENTS = [5, 6].map((number) => {
  return segmentName({ timeline: of.timeline, lsn: BigInt(number * MIB) as Lsn, walSegmentBytes: MIB });
});

async function keepInto(files: Files, more: Partial<Evidence> = {}): Promise<string> {
  const kept = await keepWalFrom(files, { ...of, dataFolder: DATA, under: "/srv/stack/evidence", name: "db", ...more });
  assert.ok(kept.kind === "kept", kept.kind);
  return kept.folder;
}

/** The WAL of a lost timeline is kept, and then the directory is written over. */
function keeping(): Story {
  let kept: string | undefined;
  const wal = path.join(DATA, "pg_wal");
  return {
    before: async (files) => {
      await files.makeFolder(wal);
      for (const name of SEGMENTS) {
        const handle = await files.open(path.join(wal, name), "create");
        await handle.write(Buffer.from(name), 0);
        await handle.close();
      }
    },
    live: async (files: Files) => {
      kept = await keepInto(files);
      for (const name of SEGMENTS) await files.remove(path.join(wal, name));
      await files.syncFolder(wal);
    },
    after: async (files) => {
      for (const name of SEGMENTS) {
        const where = kept === undefined ? wal : kept;
        const bytes = await files.readFile(path.join(where, name)).catch((error: unknown) => {
          if (!isLifeboatError(error, "platform.file-missing")) throw error;
          return undefined;
        });
        assert.equal(bytes?.toString(), name, `${name} is in ${where}`);
      }
    },
  };
}

testPowerCuts("the WAL of a lost timeline", keeping, [
  "src/stack/evidence.ts keepWalFrom: syncFolder",
  "src/platform/durable.ts makeFolderDurable: syncFolder",
]);

test("WAL that was kept by a rebuild that was given up is kept anew when a server has written it over since", async () => {
  const { files } = memoryFiles();
  const wal = path.join(DATA, "pg_wal");
  const put = async (name: string, text: string): Promise<void> => {
    const handle = await files.open(path.join(wal, name), "create");
    await handle.write(Buffer.from(text), 0);
    await handle.close();
  };
  const keep = () => keepInto(files);
  const [first = "", second = ""] = SEGMENTS;
  await files.makeFolder(wal);
  for (const name of SEGMENTS) await put(name, "as it was");
  const before = await keep();
  assert.equal(await keep(), before);
  // As a server that comes to its segment again: it takes an old one for it, and writes over that.
  await files.rename(path.join(wal, first), path.join(wal, "000000010000000000000007"));
  await put(first, "by itself");
  const recycled = await files.open(path.join(wal, second), "update");
  await recycled.write(Buffer.from("what nobody else has"), 0);
  await recycled.close();
  const after = await keep();
  assert.equal(await keep(), after);
  assert.equal(`${await files.readFile(path.join(after, first))}`, "by itself");
  assert.equal(`${await files.readFile(path.join(after, second))}`, "what nobody else has");
  assert.equal(`${await files.readFile(path.join(before, first))}`, "as it was");
});

const T2 = 2 as Timeline;

function nameOf(number: number, timeline: Timeline = of.timeline): string {
  return segmentName({ timeline, lsn: BigInt(number * MIB) as Lsn, walSegmentBytes: MIB });
}

/** The first page of a segment as a server wrote it that had this one as its `number`th. */
function written(number: number): Buffer {
  const page = Buffer.alloc(PAGE_HEADER_BYTES + 100, 0xa5);
  page.writeUInt16LE(0xd113, 0);
  page.writeUInt16LE(0, 2);
  page.writeBigUInt64LE(BigInt(number * MIB), 8);
  return page;
}

/** A pg_wal with these files, and what is kept of it. */
async function kept(
  content: Readonly<Record<string, Buffer>>,
  more: Partial<Evidence> = {},
  over: (files: Files) => Partial<Files> = () => ({}),
) {
  const { files } = memoryFiles();
  const wal = path.join(DATA, "pg_wal");
  await files.makeFolder(path.join(wal, "archive_status"));
  for (const [name, bytes] of Object.entries(content)) {
    const handle = await files.open(path.join(wal, name), "create");
    await handle.write(bytes, 0);
    await handle.close();
  }
  const evidence = { ...of, dataFolder: DATA, under: "/srv/stack/evidence", name: "db", ...more };
  const answer = await keepWalFrom({ ...files, ...over(files) }, evidence);
  if (answer.kind !== "kept") return { answer, names: [] };
  return { answer, names: (await files.list(answer.folder)).map(({ name }) => name).toSorted() };
}

function segments(numbers: readonly number[], timeline?: Timeline): Readonly<Record<string, Buffer>> {
  return Object.fromEntries(numbers.map((number) => [nameOf(number, timeline), written(number)]));
}

test("all WAL beyond the fork is kept, however much that is, and nothing before it", async () => {
  const numbers = Array.from({ length: 42 }, (_, index) => 3 + index);
  const { answer, names } = await kept(segments(numbers));
  assert.deepEqual(
    names,
    numbers.slice(2).map((number) => nameOf(number)),
  );
  assert.ok(answer.kind === "kept" && answer.isWhole);
});

test("where the segment of the fork was recycled, or one is missing, the rest is kept, and it is said that it is not whole", async () => {
  for (const numbers of [
    [7, 8],
    [5, 6, 8],
  ]) {
    const { answer, names } = await kept(segments(numbers));
    assert.deepEqual(
      names,
      numbers.map((number) => nameOf(number)),
    );
    assert.ok(answer.kind === "kept" && !answer.isWhole, names.join());
  }
});

test("names that were given ahead of what is written are left out, and damaged WAL is not", async () => {
  const zeros = { [nameOf(7)]: Buffer.alloc(200) };
  const recycled = { [nameOf(8)]: written(4), [nameOf(9)]: written(5) };
  const damaged = { [nameOf(6)]: Buffer.alloc(200, 0xff) };
  const { names } = await kept({ ...segments([5]), ...damaged, ...zeros, ...recycled });
  assert.deepEqual(
    names,
    [5, 6].map((number) => nameOf(number)),
  );
});

test("of a node that was promoted apart its own timeline is kept with its history, from the fork on, or all where nobody can tell", async () => {
  const history = { [historyName(T2)]: Buffer.from("1\t0/500064\tno recovery target specified\n") };
  const all = { ...segments([3, 4, 5]), ...segments([5, 6], T2), ...history };
  const own = [historyName(T2), ...[5, 6].map((number) => nameOf(number, T2))].toSorted();
  assert.deepEqual((await kept(all, { timeline: T2 })).names, own);
  assert.deepEqual((await kept(all, { timeline: T2, fork: undefined })).names, own);
  assert.deepEqual((await kept(all, { fork: undefined })).names, Object.keys(all).toSorted());
});

test("WAL that ends before the fork is nothing to keep, which is another thing than none at all", async () => {
  assert.equal((await kept(segments([3, 4]))).answer.kind, "nothing-beyond");
  assert.equal((await kept(segments([5], T2), { timeline: 3 as Timeline })).answer.kind, "none");
  assert.equal((await kept({ [nameOf(9)]: written(5) })).answer.kind, "none");
});

test("WAL that can have no second name is copied, unless that would fill the disk", async () => {
  const apart = (freeBytes: number) => (files: Files) => ({
    link: async (from: string, to: string) => {
      if (from.startsWith(DATA)) throw fileErrorOf("link", from, "EXDEV");
      await files.link(from, to);
    },
    space: async () => ({ freeBytes, totalBytes: 1024 * MIB, device: 2 }),
  });
  assert.deepEqual(
    (await kept(segments([5, 6]), {}, apart(512 * MIB))).names,
    [5, 6].map((number) => nameOf(number)),
  );
  await assert.rejects(kept(segments([5, 6]), {}, apart(256 * MIB)), { code: "restore.no-space" });
});
