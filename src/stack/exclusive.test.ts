import assert from "node:assert/strict";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { testStack } from "../../test/support/stacks.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { exclusively } from "./exclusive.ts";

const TOOLS = { files: systemFiles, locks: systemLocks };

test("one command at a time changes a stack, other stacks do not matter, and a failed one lets the next", async () => {
  await withFolder(async (folder) => {
    const one = testStack({ stacksFolder: folder, name: "one" });
    const two = testStack({ stacksFolder: folder, name: "two" });
    for (const { place } of [one, two]) await systemFiles.makeFolder(place.folder);
    await exclusively(TOOLS, one, async () => {
      await assert.rejects(
        exclusively(TOOLS, one, async () => assert.fail()),
        (error) => isLifeboatError(error, "stack.busy"),
      );
      assert.equal(await exclusively(TOOLS, two, async () => "done"), "done");
    });
    await assert.rejects(exclusively(TOOLS, one, async () => assert.fail("as it is meant to")));
    assert.equal(await exclusively(TOOLS, one, async () => "again"), "again");
  });
});

test("a stack that was never started is not made by asking for it", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder });
    assert.equal(await exclusively(TOOLS, stack, async () => 1), 1);
    assert.deepEqual(await systemFiles.list(folder), []);
  });
});
