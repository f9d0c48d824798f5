import assert from "node:assert/strict";
import { createServer } from "node:net";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { testStack } from "../../test/support/stacks.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { systemProcesses } from "../platform/processes.ts";
import { apiSocketOf } from "./instances.ts";
import { askApi, awaitsSchema, migrateDatabase, renderServiceFile } from "./service.ts";
import type { StackPrograms } from "./tools.ts";

test("an instance that says it cannot serve is told by its answer", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder });
    await systemFiles.makeFolder(stack.place.sockets);
    let status = "503 Service Unavailable";
    const server = createServer((socket) => socket.on("data", () => socket.end(`HTTP/1.1 ${status}\r\n\r\n`)));
    await new Promise<void>((resolve) => server.listen(apiSocketOf(stack, "api_2"), resolve));
    try {
      await assert.rejects(askApi(stack, "api_2", {}), (error) => {
        assert(isLifeboatError(error, "stack.service-not-ready"));
        assert.match(error.message, /^api_2 at .*api_2\.sock answers "HTTP\/1\.1 503 Service Unavailable"/);
        return error.retryable;
      });
      status = "200 OK";
      await askApi(stack, "api_2", {});
      assert.equal(await awaitsSchema(stack, "api_2", {}), false);
      status = '503 Service Unavailable\r\n\r\n{"dependencies":{"database":{"status":"primary","schema":"older"}}}';
      assert.equal(await awaitsSchema(stack, "api_2", {}), true);
      assert.equal(await awaitsSchema(stack, "api_3", {}), false);
    } finally {
      server.close();
    }
  });
});

test("a schema that cannot be brought up to date is told in the last words of the program", async () => {
  await withFolder(async (folder) => {
    const stack = testStack({ stacksFolder: folder });
    await systemFiles.makeFolder(stack.place.folder);
    const service = {
      command: "/bin/sh",
      args: ["-c", "echo first; echo no such table >&2; exit 1"],
      api: "",
      schema: "",
    };
    const programs = { service, lifeboatAsUser: true } as unknown as StackPrograms;
    await assert.rejects(
      migrateDatabase({ processes: systemProcesses, user: undefined, programs }, stack, {}),
      (error) => {
        assert(isLifeboatError(error, "stack.schema-failed"));
        return error.message.endsWith("schema failed: no such table");
      },
    );
  });
});

test("a schema that takes longer than it is waited for goes on by itself, which is said", async () => {
  const stack = testStack();
  const programs = { service: { args: [] } } as unknown as StackPrograms;
  const run = async (): Promise<never> => {
    throw new LifeboatError("platform.process-timeout", { message: "it was killed", remedy: "Wait." });
  };
  await assert.rejects(
    migrateDatabase({ processes: { ...systemProcesses, run }, user: undefined, programs }, stack, {}),
    (error) => {
      assert(isLifeboatError(error, "stack.schema-failed"));
      assert.match(error.message, /takes longer than 10 minutes$/);
      assert.match(error.remedy, /goes on with it.*`lifeboat up` again/);
      return error.retryable && isLifeboatError(error.cause, "platform.process-timeout");
    },
  );
});

test("the service's file names secrets and holds none, and leads to the pooler, the read port and the front", () => {
  const { place, ports } = testStack();
  const { database, reads, operatorKeyFile, scraper, mcp, trustedProxies, privateWebhooks } = JSON.parse(
    renderServiceFile(testStack({ trustedProxies: ["10.0.0.0/8"], privateWebhooks: true })),
  );
  const front = `http://127.0.0.1:${ports.front}`;
  assert.deepEqual(
    [mcp.api, mcp.publicUrl, mcp.keyFile, scraper],
    [
      front,
      `http://127.0.0.1:${ports.mcp}/mcp`,
      path.join(place.secrets, "mcp"),
      { api: front, feedsFolder: place.feeds, generated: true },
    ],
  );
  assert.deepEqual([database.port, reads.port], [ports.pgbouncer, ports.reads]);
  // What an older release has started is restarted with the file of the newer one.
  const files = ["1.0.0", "1.0.1"].map((release) => renderServiceFile(testStack({ release })));
  assert.notEqual(files[0], files[1]);
  assert.deepEqual([trustedProxies, privateWebhooks], [["10.0.0.0/8"], true]);
  assert.equal(operatorKeyFile, path.join(place.secrets, "operator"));
});
