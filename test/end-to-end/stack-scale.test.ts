/** The poolers of a whole stack of real programs, scaled while a probe writes through them. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { makeWriteTable } from "../../src/probe/write-table.ts";
import { processesOf } from "../support/processes-of.ts";
import { forAWhile, makeStackFolder, RealStack } from "../support/real-stack.ts";

const RATE_PER_SECOND = 200;
const WHILE_MS = 1_000;

test("poolers are scaled under writes without one failing; each is looked at by itself, and a start brings up as many", async (t) => {
  const folder = await makeStackFolder();
  const one = new RealStack(folder, "one");
  t.after(async () => {
    await one.end();
    await rm(folder, { recursive: true, force: true });
  });
  await one.up();
  await makeWriteTable(await one.application(), {});
  const { ports } = await one.stack();
  const probe = await one.probe(path.join(folder, "ledger"), RATE_PER_SECOND, ports.pgbouncer);
  const scale = async (count: number): Promise<unknown> => await one.cli.json(`scale pgbouncer ${count}`);
  const poolers = async () => (await one.ps()).components.filter(({ component }) => component === "pgbouncer");
  const untouched = [await one.pidOf("pgbouncer"), await one.pidOf("receiver")];
  try {
    await forAWhile(WHILE_MS);
    await scale(3);
    assert.deepEqual([await one.pidOf("pgbouncer"), await one.pidOf("receiver")], untouched);
    assert.deepEqual(
      (await poolers()).map(({ name, works }) => [name, works]),
      [
        ["pgbouncer", true],
        ["pgbouncer_2", true],
        ["pgbouncer_3", true],
      ],
    );
    await forAWhile(WHILE_MS);
    // Whose clients all came before: those of the first stay where they are.
    await scale(1);
    await forAWhile(WHILE_MS);
    const report = await probe.stop({});
    t.diagnostic(JSON.stringify(report));
    assert.deepEqual([report.writes.failedCount, report.writes.unknownCount], [0, 0]);
  } finally {
    await probe.kill();
  }
  assert.equal((await poolers()).length, 1);
  await scale(2);
  const second = await one.pidOf("pgbouncer_2");
  await one.cli.expect(0, "restart pgbouncer");
  assert.notEqual(await one.pidOf("pgbouncer_2"), second);
  await one.cli.expect(0, "down");
  assert.deepEqual(await processesOf((await one.stack()).place.folder), []);
  await one.cli.expect(0, "scale pgbouncer 3");
  await one.up();
  assert.deepEqual(
    (await poolers()).map(({ works }) => works),
    [true, true, true],
  );
  assert.deepEqual((await one.up()).steps, []);
});
