import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { NO_PROCESSES } from "../../test/support/small-restores.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles as files } from "../platform/files.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { type DeltaProcesses, guardDelta } from "./delta-guard.ts";

const SYSTEM = "1" as SystemId;

test("a server that may use the folder and may not be looked into is refused, and another process of its user is not", async () => {
  await withFolder(async (folder) => {
    const main = path.join(folder, "main");
    const space = path.join(folder, "space");
    const wal = path.join(folder, "wal");
    for (const each of [main, space, wal]) await files.makeFolder(each);
    await files.symlink(wal, path.join(main, "pg_wal"));
    await (await files.open(path.join(space, "1"), "create")).close();
    const guarded = async (name: string, unknown: string, where: string): Promise<string> => {
      const tell = async (_pid: number, at: string) => (at === where ? ("unknown" as const) : ("no" as const));
      const facts = { pid: 7, parentPid: 1, sessionId: 7, name, zombie: false, halted: false, startTicks: "1" };
      const processes: DeltaProcesses = {
        ...NO_PROCESSES,
        all: async () => [7],
        facts: async () => facts,
        [unknown]: tell,
      };
      const roots = where === space ? [path.join(folder, "none"), space] : [main];
      try {
        await guardDelta({ files, processes }, { roots, links: [], tablespaceFolders: new Map() }, SYSTEM);
        return "passed";
      } catch (error) {
        assert(isLifeboatError(error));
        return error.code;
      }
    };
    const looks = [
      ["worksIn", main],
      ["hasOpenIn", wal],
      ["leadsTo", wal],
      ["hasOpenBelow", space],
      ["leadsTo", space],
    ] as const;
    for (const [look, where] of looks) {
      assert.equal(await guarded("postgres", look, where), "restore.target-in-use", `${look} ${where}`);
      // There is no data directory.
      assert.equal(await guarded("sshd", look, where), "restore.target-not-empty");
    }
  });
});
