import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { takeTestBackup } from "../../test/support/backups.ts";
import { repetitions, testSeed } from "../../test/support/effort.ts";
import { changePage, fileOf, PLANTED } from "../../test/support/planted-faults.ts";
import { MAJORS, startServer, type TestServer } from "../../test/support/servers.ts";
import { assertRestores, contentOfAll, countBothWays, faultsOf } from "../../test/support/soundness.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import {
  dealOperations,
  numbersFrom,
  OPERATION_NAMES,
  type Operation,
  prepareWorkload,
} from "../../test/support/workload.ts";
import { checkVault } from "../vault/check.ts";

/** In place of the slot of a receiver: WAL since the last backup stays on the server. */
const SMALL_SEGMENTS = { walSegmentBytes: 1_048_576, settings: { wal_keep_size: "4GB", max_wal_size: "4GB" } };

/** Operations between two backups; the last of them is done in the middle of the server's sending. */
const OPERATIONS_EACH = 4;
const DELTA_COUNT = 10;
const RESTORED: ReadonlySet<number> = new Set([1, 5, 10]);
/** Seeds of the long run, for each version. */
const LONG_SEEDS = 25;

type Done = { readonly when: string; readonly operation: Operation };

/** A full backup and ten deltas, operations before and during each; `log` tells them. */
async function chain(server: TestServer, seed: number, log: Done[]): Promise<void> {
  await prepareWorkload(server);
  const operations = dealOperations(seed);
  const vault = await createTestVault();
  const full = await takeTestBackup(server, vault);
  assert.equal(full.whyFull, "no-parent");
  const draw = numbersFrom(seed + 1);
  for (let delta = 1; delta <= DELTA_COUNT; delta += 1) {
    const dealt = Array.from({ length: OPERATIONS_EACH }, () => operations.next().value);
    const during = dealt.at(-1)?.exclusive === false ? dealt.pop() : undefined;
    for (const operation of dealt) {
      log.push({ when: `before ${delta}`, operation });
      await operation.run(server);
    }
    const atBytes = draw(Math.floor(full.dataBytes * 0.9));
    if (during !== undefined) log.push({ when: `during ${delta}, after ${atBytes} bytes`, operation: during });
    const hold = during === undefined ? undefined : { atBytes, meanwhile: () => during.run(server) };
    const backup = await takeTestBackup(server, vault, { hold });
    assert.equal(backup.whyFull, null);
    if (RESTORED.has(delta)) await assertRestores({ server, vault, backup }, sameByIndex);
  }
  const report = await checkVault(vault, { readData: true, onProgress: () => undefined });
  assert.deepEqual(report.findings, []);
  assert.ok(report.backups.every((each) => each.whole));
  assert.deepEqual(new Set(log.map(({ operation }) => operation.name)), new Set(OPERATION_NAMES));
}

/** What the indexes and the visibility maps say together is what the tables say. */
async function sameByIndex(restored: TestServer): Promise<void> {
  for (const table of ["a", "b"]) {
    const { sequential, indexed } = await countBothWays(restored, `${table} WHERE id > 0`);
    assert.equal(indexed, sequential, table);
  }
}

async function runChain(context: TestContext, major: TestServer["major"], seed: number): Promise<void> {
  const log: Done[] = [];
  const told = (): string => {
    const lines = log.map(({ when, operation }) => `${when}: ${operation.name} ${operation.words}`.trimEnd());
    return [`PostgreSQL ${major}, seed ${seed}:`, ...lines].join("\n");
  };
  try {
    await using server = await startServer({ major, ...SMALL_SEGMENTS });
    await chain(server, seed, log);
  } catch (cause) {
    throw new Error(told(), { cause });
  }
  context.diagnostic(told());
}

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: ten deltas in a row under a random workload, restored at 1, 5 and 10, hold what the server held`, async (context) => {
    for (let number = 0; number < repetitions(1, LONG_SEEDS); number += 1) {
      await runChain(context, major, testSeed() + 1000 * major + number);
    }
  });
}

test("what the chains look for is found where it is planted: changed rows, a broken heap, index and visibility map", async () => {
  await using server = await startServer();
  const tables = ["changed", "heaped", "indexed", "mapped", "stale"];
  for (const table of tables) {
    // With an index, amcheck would name that one for what is wrong with the heap.
    await server.query(`CREATE TABLE ${table} (id int${table === "heaped" ? "" : " PRIMARY KEY"}, body text)`);
    await server.query(`INSERT INTO ${table} SELECT g, md5(g::text) FROM generate_series(1, 1000) g`);
  }
  await server.query(`VACUUM (FREEZE) ${tables.join(", ")}`);
  await server.query("DELETE FROM stale WHERE id <= 5");
  const before = await contentOfAll(server);
  assert.deepEqual(await faultsOf(server), []);
  const files = new Map<string, string>();
  for (const name of [...tables, "indexed_pkey"]) files.set(name, await fileOf(server, name));
  const plant = (name: string, fork: string, block: number, change: (page: Buffer) => void): void =>
    changePage(`${files.get(name)}${fork}`, block, change);
  await server.stop();
  plant("changed", "", 1, PLANTED.rowChanged);
  plant("heaped", "", 2, PLANTED.rowOutside);
  plant("indexed_pkey", "", 1, PLANTED.key);
  plant("mapped", "", 1, PLANTED.flagTaken);
  plant("stale", "", 0, PLANTED.flagSet);
  plant("stale", "_vm", 0, PLANTED.firstBlockVisible);
  await server.start();
  const faults = (await faultsOf(server)).join("\n");
  for (const pattern of [
    /^postgres: heap heaped, block 2: /m,
    /^postgres: .*"indexed_pkey"/m,
    /^postgres: map of mapped calls block 1 all-visible, the block does not$/m,
    /^postgres: map of stale calls visible what is not: \(0,\d\)$/m,
    /^postgres: map of stale calls frozen what is not: \(0,\d\)$/m,
  ]) {
    assert.match(faults, pattern);
  }
  await server.query("DROP TABLE heaped");
  const [after, differs] = [await contentOfAll(server), "postgres: public.changed"];
  assert.notEqual(after.get(differs), before.get(differs));
  for (const name of [differs, "postgres: public.heaped"]) before.delete(name);
  assert.deepEqual(new Map([...after].filter(([name]) => name !== differs)), before);
});
