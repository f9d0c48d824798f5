import assert from "node:assert/strict";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { installationOf, PORTS, serverUser } from "../../test/support/servers.ts";
import { testStack } from "../../test/support/stacks.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import { freePorts } from "./ports.ts";
import type { StackTools } from "./tools.ts";
import { planStackUp, runStackUp } from "./up.ts";

test("a primary that does not run is told with the words of its log, what was made stays, and the next start goes on from there", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder, ports: await freePorts(systemRandom) });
    const tools: StackTools = {
      ...PORTS,
      locks: systemLocks,
      random: systemRandom,
      user: await serverUser(),
      // A machine on which a program ends as soon as it was started.
      platform: {
        start: async () => undefined,
        stop: async () => ({ killed: false }),
        restart: async () => undefined,
        state: async () => [],
        lastLines: async (name) => [`${name} ended`],
      },
      programs: {
        postgres: await installationOf(16),
        redis: "",
        pgbouncer: "",
        haproxy: "",
        lifeboat: { command: "", args: [] },
        service: { command: "", args: [], api: "", mcp: "", scraper: "", schema: "" },
        lifeboatAsUser: true,
      },
    };
    const done: string[] = [];
    const onEvent = (event: { readonly kind: string; readonly step?: string }): void => {
      if (event.kind === "step") done.push(event.step ?? "");
    };
    await assert.rejects(runStackUp(tools, stack, { onEvent }), (error) => {
      assert(isLifeboatError(error, "stack.step-failed"));
      assert.match(error.message, /stack shop is not up: step db-start .*; its log ends: db ended/);
      return true;
    });
    assert.deepEqual(done, ["folders", "secrets", "config", "db-data"]);
    const { steps } = await planStackUp(tools, stack, {});
    assert.equal(steps[0], "db-start");
  });
});
