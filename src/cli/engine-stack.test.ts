import assert from "node:assert/strict";
import { chown, mkdir } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { CommandLine } from "../../test/support/command-line.ts";
import { currentUid } from "../platform/run-as.ts";

const SOMEBODY = 65_534;

test("whoever is not root has a stack of their own; root is told whose another one is", async () => {
  await withFolder(async (folder) => {
    const line = new CommandLine(path.join(folder, "home"));
    const stack = path.join(folder, "state/stacks/shop");
    await mkdir(stack, { recursive: true });
    const isRoot = currentUid() === 0;
    if (isRoot) await chown(stack, SOMEBODY, SOMEBODY);
    for (const verb of ["ps", "up", "down", "exec db", "restart db"]) {
      const rest = verb === "exec db" ? " -- true" : "";
      const { err } = await line.start(`${verb} --stack-name shop --folders-state ${path.join(folder, "state")}${rest}`)
        .ended;
      assert.equal(err.includes("stack.owned-by-another"), isRoot, `${verb}: ${err}`);
    }
  });
});
