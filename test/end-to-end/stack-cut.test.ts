/** A whole stack of real programs whose start is cut short after every step. */
import assert from "node:assert/strict";
import { mkdir, rm } from "node:fs/promises";
import { test } from "node:test";
import { isLifeboatError } from "../../src/errors/error.ts";
import { UP_STEPS } from "../../src/stack/plan.ts";
import { SERVICE_COMPONENTS } from "../../src/stack/stack.ts";
import { runStackUp } from "../../src/stack/up.ts";
import { makeStackFolder, RealStack } from "../support/real-stack.ts";

/** What acts: nothing undescribed runs; the proof only looks; the daemon, which reads the configuration of a command line, and the service are left out. */
const LEFT_OUT = new Set<string>(["undescribed", "proof", "daemon", ...SERVICE_COMPONENTS]);
const ACTING = UP_STEPS.filter((step) => !LEFT_OUT.has(step));

test("a stack comes up though each of its starts is cut short after one step, and the first that ends shows a recovery key", async () => {
  const folder = await makeStackFolder();
  const cut = new RealStack(folder, "cut");
  try {
    const { stack, tools } = await cut.tools();
    // What an initdb that was killed leaves.
    await mkdir(`${stack.place.dataOf("db")}.making`, { recursive: true });
    const acted: string[] = [];
    const recoveryKeys: string[] = [];
    const upOneStep = (): Promise<unknown> => {
      const cutting = new AbortController();
      return runStackUp(tools, stack, {
        signal: cutting.signal,
        onEvent: (event) => {
          if (event.kind === "recovery-key") recoveryKeys.push(event.recoveryKey);
          else if (event.kind === "step" && event.acted) {
            acted.push(event.step);
            cutting.abort();
          }
        },
      });
    };
    while (acted.at(-1) !== ACTING.at(-1)) {
      await assert.rejects(upOneStep(), (error) => isLifeboatError(error, "platform.aborted"));
    }
    assert.deepEqual(acted, ACTING);
    assert.equal(recoveryKeys.length, 1);
    // No start ended so that the key was known to be shown.
    const shown = await cut.up();
    assert.deepEqual(shown.steps, []);
    assert.match(shown.recoveryKey ?? "", /^([0-9A-Z]{4}-)+[0-9A-Z]+$/);
    assert.notEqual(shown.recoveryKey, recoveryKeys[0]);
    assert.equal((await cut.up()).recoveryKey, null);
    assert.equal(await cut.ask("db_replica", "SELECT count(*)::text FROM pg_stat_wal_receiver"), "1");
  } finally {
    await cut.end();
    await rm(folder, { recursive: true, force: true });
  }
});
