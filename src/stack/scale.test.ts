import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { testStack } from "../../test/support/stacks.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { renderPoolerUsers } from "../pooler/pgbouncer-ini.ts";
import { usersFileOf } from "./pooler-config.ts";
import { recordScale, runScale, scaled, scaleInUse } from "./scale.ts";
import type { StackTools } from "./tools.ts";

const TOOLS = { files: systemFiles, random: systemRandom };

test("a stack has one of each until it is scaled, and then as many as were recorded last", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder });
    await systemFiles.makeFolder(stack.place.folder);
    assert.deepEqual(await scaleInUse(systemFiles, stack), stack);
    for (const count of [3, 2]) {
      await recordScale(TOOLS, scaled(stack, "pgbouncer", count), {});
      assert.deepEqual(await scaleInUse(systemFiles, stack), { ...stack, poolers: count });
    }
    await recordScale(TOOLS, scaled(stack, "api", 5), {});
    assert.deepEqual(await scaleInUse(systemFiles, stack), { ...stack, apis: 5 });
    // As it was written before there was an API.
    await writeFile(
      stack.place.scaleFile,
      '{"format":"lifeboat-stack-scale","version":1,"instances":{"pgbouncer":2}}\n',
    );
    assert.deepEqual(await scaleInUse(systemFiles, stack), { ...stack, poolers: 2 });
  });
});

test("a record of programs that is not understood is refused with its file", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder });
    await systemFiles.makeFolder(stack.place.folder);
    for (const text of ["", "{}", '{"format":"lifeboat-stack-scale","version":1,"instances":{"pgbouncer":0}}']) {
      await writeFile(stack.place.scaleFile, text);
      await assert.rejects(scaleInUse(systemFiles, stack), (error) => {
        assert(isLifeboatError(error, "stack.record-damaged"));
        return error.message.startsWith(stack.place.scaleFile);
      });
    }
  });
});

/** A machine on which nothing runs. */
const DOWN = { ...TOOLS, clock: systemClock, platform: { state: async () => [] } } as unknown as StackTools;

test("a stack that is down is scaled when it comes up; while somebody has its poolers paused it is not scaled", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder });
    const config = stack.place.configOf("pgbouncer");
    await systemFiles.makeFolder(config);
    assert.equal(await runScale(DOWN, scaled(stack, "pgbouncer", 2), "pgbouncer", {}), "down");
    assert.equal((await scaleInUse(systemFiles, stack)).poolers, 2);
    await writeFile(path.join(config, "databases.ini.127.0.0.1-5435.hold"), "");
    await assert.rejects(runScale(DOWN, scaled(stack, "pgbouncer", 4), "pgbouncer", {}), (error) =>
      isLifeboatError(error, "stack.busy"),
    );
    assert.equal((await scaleInUse(systemFiles, stack)).poolers, 2);
  });
});

test("a stack that is described with another role of the application is not scaled: its poolers would let in that one alone", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder });
    await systemFiles.makeFolder(stack.place.configOf("pgbouncer"));
    await writeFile(usersFileOf(stack), renderPoolerUsers({ buywhere: "SCRAM-SHA-256$1" }));
    await assert.rejects(runScale(DOWN, { ...stack, applicationRole: "shop", poolers: 2 }, "pgbouncer", {}), (error) =>
      isLifeboatError(error, "stack.application-role-changed"),
    );
    assert.equal((await scaleInUse(systemFiles, stack)).poolers, 1);
    assert.equal(await runScale(DOWN, scaled(stack, "pgbouncer", 2), "pgbouncer", {}), "down");
  });
});
