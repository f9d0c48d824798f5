import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { testStack } from "../../test/support/stacks.ts";
import { systemFiles } from "../platform/files.ts";
import { otherApplication } from "./application-role.ts";
import type { PrimaryFacts } from "./plan.ts";
import { renderPooler } from "./pooler-config.ts";
import { HIDDEN_SECRETS } from "./secrets.ts";

const FACTS: PrimaryFacts = {
  prepared: true,
  rolesFit: true,
  durability: "quorum",
  receiverStreams: true,
  replicaStreams: true,
};

test("another role of the application than the poolers let in is told where the database is not known to be its own", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder });
    const letIn = async (role: string): Promise<void> => {
      await mkdir(stack.place.configOf("pgbouncer"), { recursive: true });
      for (const { name, text } of renderPooler({ ...stack, applicationRole: role }, HIDDEN_SECRETS)) {
        await writeFile(path.join(stack.place.configOf("pgbouncer"), name), text);
      }
    };
    const other = async (role: string, databaseOwner?: string): Promise<string | undefined> => {
      const primary = databaseOwner === "not asked" ? undefined : { ...FACTS, databaseOwner };
      return await otherApplication(systemFiles, { ...stack, applicationRole: role }, primary);
    };
    assert.equal(await other("shop", "buywhere"), undefined, "no pooler was ever there");
    await letIn("buywhere");
    assert.equal(await other("shop", "buywhere"), "buywhere");
    assert.equal(await other("shop", "shop"), undefined, "renamed, or given the database");
    assert.equal(await other("shop", undefined), undefined, "the database is still to be made");
    for (const owner of ["buywhere", "somebody_else", "not asked"]) {
      assert.equal(await other("buywhere", owner), undefined, `as it always was, the database is ${owner}'s`);
    }
    // Nobody can be asked: whose the database is is not known, unless there is none.
    assert.equal(await other("shop", "not asked"), undefined);
    const control = path.join(stack.place.dataOf("db"), "global/pg_control");
    await mkdir(path.dirname(control), { recursive: true });
    await writeFile(control, "");
    assert.equal(await other("shop", "not asked"), "buywhere");
    await rm(control);
    // An earlier release took it: nobody can go back to it.
    for (const ours of ["postgres", "lifeboat", "lifeboat_pooler"]) {
      await letIn(ours);
      assert.equal(await other("buywhere", "buywhere"), undefined);
    }
  });
});
