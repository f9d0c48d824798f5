import assert from "node:assert/strict";
import { chmod, mkdir, rm, stat, symlink } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { testStack } from "../../test/support/stacks.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { makeFolders } from "./making.ts";
import { liesApart, refuseForeignSockets } from "./shared-sockets.ts";

const foreign = (error: unknown): boolean => isLifeboatError(error, "platform.folder-foreign");

test("a link that somebody made where the sockets are to lie is refused, and what it leads to keeps its owner and mode", async () => {
  await withFolder(async (folder) => {
    const tools = { files: systemFiles, user: undefined };
    const stack = testStack({ stacksFolder: path.join(folder, "x".repeat(90)) });
    const { place } = stack;
    assert.ok(liesApart(place));
    const target = path.join(folder, "target");
    await mkdir(target);
    await chmod(target, 0o755);
    try {
      await symlink(target, place.sockets);
      await assert.rejects(makeFolders({ ...tools, stack }), foreign);
      await assert.rejects(refuseForeignSockets(systemFiles, place, [place.sockets]), foreign);
      assert.equal((await stat(target)).mode & 0o777, 0o755);
      await rm(place.sockets);
      await makeFolders({ ...tools, stack });
      await refuseForeignSockets(systemFiles, place, [place.sockets]);
      await makeFolders({ ...tools, stack });
    } finally {
      await rm(place.sockets, { recursive: true, force: true });
    }
  });
});

test("folders of sockets inside the stack's own are what its owner made of them", async () => {
  await withFolder(async (folder) => {
    const { place } = testStack({ stacksFolder: folder });
    await mkdir(place.folder, { recursive: true });
    await symlink(folder, place.sockets);
    await refuseForeignSockets(systemFiles, place, [place.sockets]);
  });
});
