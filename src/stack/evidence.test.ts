import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { type Story, testPowerCuts } from "../../test/support/power-cuts.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import { type Lsn, segmentName, type Timeline } from "../postgres/lsn.ts";
import { keepWalFrom } from "./evidence.ts";

const MIB = 1024 * 1024;
const DATA = "/srv/stack/db/data";
const of = { timeline: 1 as Timeline, fork: BigInt(5 * MIB + 100) as Lsn, walSegmentBytes: MIB };
const SEGMENTS = [5, 6].map((number) => {
  return segmentName({ timeline: of.timeline, lsn: BigInt(number * MIB) as Lsn, walSegmentBytes: MIB });
});

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
      kept = await keepWalFrom(files, { ...of, dataFolder: DATA, under: "/srv/stack/evidence", name: "db" });
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
  const keep = () => keepWalFrom(files, { ...of, dataFolder: DATA, under: "/srv/stack/evidence", name: "db" });
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
