import assert from "node:assert/strict";
import { createServer } from "node:net";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { STACK_CHOICE, testStack } from "../../test/support/stacks.ts";
import { isLifeboatError } from "../errors/error.ts";
import { writeDurable } from "../platform/durable.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { checkPortsFree, freePorts, portsInUse, readPorts, recordPorts } from "./ports.ts";

const tools = { files: systemFiles, random: systemRandom };

test("ports that were taken freely are all different, and are the same from then on", async () => {
  await withFolder(async (folder) => {
    const file = path.join(folder, "ports.json");
    assert.equal(await readPorts(systemFiles, file), undefined);
    const ports = await freePorts(systemRandom);
    assert.equal(new Set(Object.values(ports)).size, 7);
    await recordPorts(tools, file, ports, {});
    assert.deepEqual(await readPorts(systemFiles, file), ports);
    // Of before there was an MCP service, whose port is then the described one.
    const { mcp: _, ...older } = ports;
    const record = JSON.stringify({ format: "lifeboat-stack-ports", version: 1, ports: older });
    await writeDurable(systemFiles, { file, parts: [Buffer.from(record)], over: "replace", unique: "test" });
    const stack = testStack();
    const settled = await portsInUse(systemFiles, { ...stack, place: { ...stack.place, portsFile: file } });
    assert.deepEqual(settled.ports, { ...older, mcp: 8080 });
  });
});

test("a record that cannot be read is named, whatever is wrong with it", async () => {
  await withFolder(async (folder) => {
    const file = path.join(folder, "ports.json");
    const other = { format: "lifeboat-stack-ports", version: 1, ports: { ...STACK_CHOICE.ports, redis: 0 } };
    for (const text of ["", "{", '{"format":"lifeboat-stack-ports","version":2}', JSON.stringify(other)]) {
      await writeDurable(systemFiles, { file, parts: [Buffer.from(text)], over: "replace", unique: "test" });
      await assert.rejects(readPorts(systemFiles, file), (error) => isLifeboatError(error, "stack.record-damaged"));
    }
  });
});

test("every busy port is named with what it is wanted for and who holds it", async () => {
  const holders = [createServer(), createServer()];
  try {
    for (const each of holders) await new Promise<void>((resolve) => each.listen(0, "127.0.0.1", resolve));
    const [db = 0, redis = 0] = holders.map((each) => (each.address() as { port: number }).port);
    const ports = { ...(await freePorts(systemRandom)), db, redis };
    await assert.rejects(
      checkPortsFree(ports, () => true),
      (error) => {
        assert(isLifeboatError(error, "stack.port-busy"));
        const by = `is held by process ${process.pid} \\(.+\\)`;
        assert.match(
          error.message,
          new RegExp(`port ${db}, wanted for db \\(stack.dbPort\\), ${by}; port ${redis}, .*${by}`),
        );
        return true;
      },
    );
    await checkPortsFree(ports, (name) => name !== "db" && name !== "redis");
  } finally {
    for (const each of holders) each.close();
  }
});
