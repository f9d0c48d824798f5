import assert from "node:assert/strict";
import { createServer, type Server } from "node:net";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { testStack } from "../../test/support/stacks.ts";
import { type Instant, systemClock } from "../platform/clock.ts";
import type { ComponentState } from "../platform/components.ts";
import { systemFiles } from "../platform/files.ts";
import { apiSocketOf, instancesOf, scraperSocketOf } from "./instances.ts";
import { type RollTools, restartAlone, rollApi } from "./roll-api.ts";

const OK = "HTTP/1.1 200 OK\r\n\r\n{}";

test("programs whose file has changed are restarted and waited for; instances one after another, each once the one before serves, with its schema", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder, apis: 2, poolers: 2 });
    await systemFiles.makeFolder(stack.place.sockets);
    const done: string[] = [];
    const lacks = new Map<string, "schema" | "time">();
    /** What an instance says to who asks whether it is ready, and how it is. */
    const answer = (name: string, page: string): string => {
      const lack = lacks.get(name);
      if (lack === undefined) return OK;
      // The next time it is ready.
      if (page.includes("/health/ready") && lack === "time") lacks.delete(name);
      if (page.includes("/health/ready")) return "HTTP/1.1 503 Service Unavailable\r\n\r\n";
      return `${OK}${lack === "schema" ? '"schema":"older"' : ""}`;
    };
    const listening = await Promise.all(
      [...instancesOf(stack, "api"), "scraper-scheduler"].map(
        (name) =>
          new Promise<Server>((resolve) => {
            const server = createServer((socket) => socket.on("data", (page) => socket.end(answer(name, `${page}`))));
            server.listen(name === "scraper-scheduler" ? scraperSocketOf(stack) : apiSocketOf(stack, name), () =>
              resolve(server),
            );
          }),
      ),
    );
    const common = { mode: "running", since: 0 as Instant, adopted: false, restarts: 0, ports: [] } as const;
    const tools = (...running: readonly string[]) =>
      ({
        clock: systemClock,
        stack,
        programs: { service: { args: [] } },
        processes: {
          run: async () => {
            done.push("schema");
            lacks.clear();
            return { exit: { kind: "exited", status: 0 }, stderr: "" };
          },
        },
        platform: {
          restart: async (name: string) => {
            assert.deepEqual([...lacks.keys()], [], `${name} was restarted while another one did not serve`);
            done.push(name);
            lacks.set(name, name === "api" ? "schema" : "time");
          },
          state: async () => running.map((name): ComponentState => ({ ...common, name, lastEnd: undefined })),
        },
      }) as unknown as RollTools;
    try {
      await rollApi(tools("db", "pgbouncer", "api", "api_2"), {});
      assert.deepEqual([done.splice(0), lacks.size], [["api", "schema", "api_2"], 0]);
      // Nobody serves while no primary runs, or no pooler: who starts it must get on.
      for (const running of [["pgbouncer"], ["db"]]) {
        await rollApi(tools(...running, "api_2"), {});
        assert.deepEqual([done.splice(0), [...lacks.keys()]], [["api_2"], ["api_2"]], `with ${running} alone`);
        lacks.clear();
      }
      await restartAlone(tools("db", "pgbouncer_2", "scraper-scheduler"), "scraper-scheduler", {});
      assert.deepEqual([done.splice(0), lacks.size], [["scraper-scheduler"], 0], "it works again");
    } finally {
      for (const server of listening) server.close();
    }
  });
});
