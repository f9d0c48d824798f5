import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { testStack } from "../../test/support/stacks.ts";
import { isLifeboatError } from "../errors/error.ts";
import { type Instant, systemClock } from "../platform/clock.ts";
import type { ComponentState } from "../platform/components.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { apiSocketOf, instancesOf } from "./instances.ts";
import { type RestartTools, restartComponent } from "./restart.ts";
import { makeSecrets } from "./secrets.ts";
import type { MigrationTools } from "./service.ts";

test("before the API is restarted the database gets the newest schema, and nothing is restarted where it does not", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder, apis: 2 });
    await systemFiles.makeFolder(stack.place.sockets);
    await systemFiles.makeFolder(stack.place.secrets);
    await makeSecrets({ files: systemFiles, random: systemRandom }, stack.place, { owner: undefined });
    const listening = await Promise.all(
      instancesOf(stack, "api").map(
        (name) =>
          new Promise<Server>((resolve) => {
            const server = createServer((socket) => socket.on("data", () => socket.end("HTTP/1.1 200 OK\r\n\r\n")));
            server.listen(apiSocketOf(stack, name), () => resolve(server));
          }),
      ),
    );
    const done: string[] = [];
    let status = 0;
    let freeBytes = 1e12;
    const migration = {
      processes: {
        run: async () => {
          done.push("schema");
          return { exit: { kind: "exited", status }, stderr: "" };
        },
      },
      programs: { service: { args: [] } },
    } as unknown as MigrationTools;
    const restart = async (recorded: "settled" | "unsettled", running: readonly string[]): Promise<string> => {
      done.length = 0;
      const common = { mode: "running", since: 0 as Instant, adopted: false, restarts: 0, ports: [] } as const;
      const states = running.map((name): ComponentState => ({ ...common, name, lastEnd: undefined }));
      const tools: RestartTools = {
        files: { ...systemFiles, space: async () => ({ freeBytes, totalBytes: 1e12, device: 1 }) },
        clock: systemClock,
        random: systemRandom,
        stack: { ...stack, recorded },
        platform: {
          start: async () => undefined,
          stop: async () => ({ killed: false }),
          restart: async (name) => void done.push(name),
          state: async () => states,
          lastLines: async () => [],
        },
        findMigrationTools: async () => migration,
      };
      await restartComponent(tools, "api", {});
      return done.join(" ");
    };
    try {
      const all = ["db", "api", "api_2"];
      assert.equal(await restart("settled", all), "schema api api_2");
      // Nobody can be migrated, and instances that fit read from the replica.
      assert.equal(await restart("unsettled", all), "api api_2");
      assert.equal(await restart("settled", ["api", "api_2"]), "api api_2");
      // What could not be started again is not stopped; what does not run is started.
      freeBytes = 1e6;
      await assert.rejects(restart("unsettled", all), (error) => isLifeboatError(error, "platform.disk-full"));
      assert.deepEqual(done, []);
      await assert.rejects(restart("unsettled", ["db"]), (error) => isLifeboatError(error, "stack.step-failed"));
      assert.deepEqual(done, ["api"]);
      freeBytes = 1e12;
      status = 1;
      await assert.rejects(restart("settled", all), (error) => isLifeboatError(error, "stack.schema-failed"));
      assert.deepEqual(done, ["schema"]);
    } finally {
      for (const server of listening) server.close();
    }
  });
});

test("poolers that somebody has paused are not restarted: they would come back serving", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder });
    await systemFiles.makeFolder(stack.place.secrets);
    await makeSecrets({ files: systemFiles, random: systemRandom }, stack.place, { owner: undefined });
    const config = stack.place.configOf("pgbouncer");
    await systemFiles.makeFolder(config);
    await writeFile(path.join(config, "databases.ini.127.0.0.1-5435.hold"), "");
    const tools = { files: systemFiles, clock: systemClock, stack, platform: { state: async () => [] } };
    await assert.rejects(restartComponent(tools as unknown as RestartTools, "pgbouncer", {}), (error) =>
      isLifeboatError(error, "stack.busy"),
    );
  });
});
