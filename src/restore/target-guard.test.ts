import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles as files } from "../platform/files.ts";
import {
  clearUnfinished,
  guardTarget,
  markUnfinished,
  RESTORE_LOCK,
  removeMarks,
  UNFINISHED_MARKER,
} from "./target-guard.ts";

/** Makes files with their folders; a name that ends with `/` is a folder. */
async function make(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const file = path.join(folder, name);
    await files.makeFolder(name.endsWith("/") ? file : path.dirname(file));
    if (!name.endsWith("/")) await (await files.open(file, "create")).close();
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return (await files.list(folder)).map(({ name }) => name);
}

/** The two roots of a restore that was cut short, each with a file in it. */
async function cutShort(folder: string): Promise<{ readonly main: string; readonly space: string }> {
  const roots = { main: path.join(folder, "main"), space: path.join(folder, "space") };
  for (const root of [roots.main, roots.space]) {
    await make(root, ["base/1"]);
    await markUnfinished(files, root, { restoreId: "a", main: roots.main });
  }
  return roots;
}

const notEmpty = (error: unknown): boolean => isLifeboatError(error, "restore.target-not-empty");

describe("a restore target", () => {
  test("may be absent or empty", async () => {
    await withFolder(async (folder) => {
      assert.equal(await guardTarget(files, path.join(folder, "none")), "absent");
      assert.equal(await guardTarget(files, folder), "empty");
    });
  });

  test("is refused when it holds anything, a data directory by name", async () => {
    await withFolder(async (folder) => {
      await make(folder, ["data/PG_VERSION", "data/global/pg_control", "other/notes", "hidden/.bashrc"]);
      for (const name of ["other", "hidden"])
        await assert.rejects(guardTarget(files, path.join(folder, name)), notEmpty);
      await assert.rejects(guardTarget(files, path.join(folder, "data")), (error) => {
        assert.ok(isLifeboatError(error, "restore.target-not-empty"));
        return error.remedy.includes("only copy");
      });
    });
  });

  test("is refused when it is a file or a link", async () => {
    await withFolder(async (folder) => {
      await make(folder, ["file", "empty/"]);
      await files.symlink(path.join(folder, "empty"), path.join(folder, "link"));
      for (const name of ["file", "link"]) await assert.rejects(guardTarget(files, path.join(folder, name)), notEmpty);
    });
  });

  test("is refused with its own code when a server's lock file lies in it, even if it is marked", async () => {
    await withFolder(async (folder) => {
      await markUnfinished(files, folder, { restoreId: "a", main: folder });
      await make(folder, ["postmaster.pid"]);
      await assert.rejects(guardTarget(files, folder), (error) => isLifeboatError(error, "restore.target-in-use"));
    });
  });
});

describe("what an earlier restore left", () => {
  test("is cleared, its tablespaces with it", async () => {
    await withFolder(async (folder) => {
      const { main, space } = await cutShort(folder);
      await clearUnfinished(files, [main, space]);
      assert.deepEqual([await namesIn(main), await namesIn(space)], [[], []]);
    });
  });

  test("is not followed through its links when it is cleared", async () => {
    await withFolder(async (folder) => {
      const { main, space } = await cutShort(folder);
      await make(folder, ["precious/file"]);
      await files.symlink(path.join(folder, "precious"), path.join(main, "link"));
      await clearUnfinished(files, [main, space]);
      assert.deepEqual(await namesIn(path.join(folder, "precious")), ["file"]);
    });
  });

  test("is somebody's data once there is a control file, marked or not", async () => {
    await withFolder(async (folder) => {
      const { main, space } = await cutShort(folder);
      await make(main, ["global/pg_control"]);
      for (const root of [main, space]) await assert.rejects(guardTarget(files, root), notEmpty);
      await removeMarks(files, main);
      for (const root of [main, space]) await assert.rejects(guardTarget(files, root), notEmpty);
    });
  });

  test("a tablespace whose data directory was moved away, or begun anew, is not touched", async () => {
    await withFolder(async (folder) => {
      const { main, space } = await cutShort(folder);
      await files.rename(main, path.join(folder, "moved"));
      await assert.rejects(guardTarget(files, space), notEmpty);
      await files.makeFolder(main);
      await markUnfinished(files, main, { restoreId: "b", main });
      await assert.rejects(guardTarget(files, space), notEmpty);
    });
  });

  test("is cleared when it was cut before its marker was written, but for the lock", async () => {
    await withFolder(async (folder) => {
      await make(folder, [`.${UNFINISHED_MARKER}.lifeboat.tmp`, RESTORE_LOCK]);
      await clearUnfinished(files, [folder]);
      assert.deepEqual(await namesIn(folder), [RESTORE_LOCK]);
      assert.equal(await guardTarget(files, folder), "unfinished");
    });
  });

  test("a marker that is not ours to read gives no leave to remove anything", async () => {
    for (const text of ["", "x\n", "x\n{}\n", 'x\n{"restoreId": 1, "main": "/"}\n', "x\nnull\n"]) {
      await withFolder(async (folder) => {
        const handle = await files.open(path.join(folder, UNFINISHED_MARKER), "create");
        await handle.write(Buffer.from(text), 0);
        await handle.close();
        await assert.rejects(guardTarget(files, folder), notEmpty);
      });
    }
  });
});
