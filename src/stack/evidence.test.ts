import assert from "node:assert/strict";
import path from "node:path";
import { type Story, testPowerCuts } from "../../test/support/power-cuts.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
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
