import assert from "node:assert/strict";
import { chown, mkdir } from "node:fs/promises";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { testStack } from "../../test/support/stacks.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { currentUid } from "../platform/run-as.ts";
import { refuseForeignOwner } from "./owner.ts";

const SOMEBODY = 65_534;

test("root does nothing to the stack of an unprivileged user, and is told as whom to run the command", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder });
    await refuseForeignOwner(systemFiles, stack, 0);
    await mkdir(stack.place.folder);
    await refuseForeignOwner(systemFiles, stack, currentUid());
    // Whoever runs this: the folder is somebody's who is not root.
    const owner = currentUid() === 0 ? SOMEBODY : currentUid();
    if (currentUid() === 0) await chown(stack.place.folder, owner, owner);
    await assert.rejects(refuseForeignOwner(systemFiles, stack, 0), (error) => {
      assert(isLifeboatError(error, "stack.owned-by-another"));
      assert.ok(error.remedy.includes(`sudo -u '#${owner}' lifeboat`));
      return true;
    });
    await refuseForeignOwner(systemFiles, stack, owner);
  });
});
