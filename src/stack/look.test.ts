import assert from "node:assert/strict";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { testStack } from "../../test/support/stacks.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { lookAtComponents } from "./look.ts";
import type { StepLookTools } from "./steps.ts";

test("whatever runs of a stack is seen, described or not; what is none of it is not", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder, daemon: false, service: false });
    const at = { since: 0, adopted: false, restarts: 0, ports: [], lastEnd: undefined };
    const platform = {
      state: async () => [
        ...["daemon", "daemon_2", "somebody_else"].map((name) => ({ ...at, name, mode: "running" })),
        { ...at, name: "api", mode: "ended" },
        { ...at, name: "pgbouncer_2", mode: "backing-off" },
      ],
    };
    const tools = { files: systemFiles, clock: systemClock, random: systemRandom, platform, stack };
    const seen = await lookAtComponents(tools as unknown as StepLookTools, {});
    const named = (described: boolean) => seen.filter((each) => each.described === described).map(({ name }) => name);
    assert.deepEqual(named(false), ["daemon_2", "daemon", "pgbouncer_2"]);
    assert.ok(named(true).includes("pgbouncer") && !named(true).includes("daemon"));
  });
});
