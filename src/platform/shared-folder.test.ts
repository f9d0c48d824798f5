import assert from "node:assert/strict";
import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "./files.ts";
import { currentUid } from "./run-as.ts";
import { refuseForeignFolder } from "./shared-folder.ts";

test("a folder in /tmp is believed where it is ours alone: no link, nobody else's, and closed to others", async () => {
  await withFolder(async (folder) => {
    const ours = path.join(folder, "ours");
    await mkdir(ours, { mode: 0o700 });
    const refused = async (at: string, owners: readonly number[], what: RegExp): Promise<void> =>
      await assert.rejects(refuseForeignFolder(systemFiles, at, owners), (error) => {
        assert(isLifeboatError(error, "platform.folder-foreign"));
        assert.match(error.message, what);
        return true;
      });
    await refuseForeignFolder(systemFiles, path.join(folder, "none"), []);
    await refuseForeignFolder(systemFiles, ours, [12_345, currentUid()]);
    await refused(ours, [currentUid() + 1], /belongs to user \d+/);
    const link = path.join(folder, "link");
    await symlink(ours, link);
    await refused(link, [currentUid()], /is a symbolic link/);
    const file = path.join(folder, "file");
    await writeFile(file, "");
    await refused(file, [currentUid()], /is a file/);
    for (const mode of [0o710, 0o701]) {
      await chmod(ours, mode);
      await refused(ours, [currentUid()], /lets others in \(mode 07/);
    }
  });
});
