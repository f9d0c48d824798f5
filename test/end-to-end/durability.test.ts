/**
 * Durability and replication of a whole stack of real programs, by the real command line and under a client's writes: changed,
 * lost, released knowingly, kept by the next start, and watched.
 */
import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { EXIT } from "../../src/errors/entry.ts";
import { readBack } from "../../src/probe/read-back.ts";
import { makeWriteTable } from "../../src/probe/write-table.ts";
import { RealStack } from "../support/real-stack.ts";
import { eventually } from "../support/receivers.ts";
import { PORTS } from "../support/servers.ts";

/** Writes between two changes: half a second of them. */
const WRITES_BETWEEN = 100;
const WRITES_PER_SECOND = 200;

let folder = "";
let one: RealStack;

before(async () => {
  folder = await mkdtemp("/tmp/stack-");
  await chmod(folder, 0o755);
  one = new RealStack(folder, "one");
  await one.up();
  await makeWriteTable(await one.application(), {});
});

after(async () => {
  await one.end();
  await rm(folder, { recursive: true, force: true });
});

type Durability = {
  readonly described: { readonly mode: string; readonly by: string };
  readonly set: { readonly mode: string };
  readonly effective: { readonly mode: string };
  readonly confirming: readonly string[];
  readonly waiting: { readonly count: number };
  readonly faults: readonly { readonly code: string }[];
};

type Replication = {
  readonly primary: string | null;
  readonly standbys: readonly {
    readonly name: string;
    readonly connected: boolean;
    readonly lag: { readonly flush: { readonly bytes: number; readonly seconds: number } };
  }[];
  readonly faults: readonly { readonly code: string }[];
};

async function durability(line = "", status = 0): Promise<Durability> {
  return (await one.cli.json(`durability ${line}`, { status })) as Durability;
}

async function replication(status = 0): Promise<Replication> {
  return (await one.cli.json("replication --once", { status })) as Replication;
}

const codes = (answer: { readonly faults: readonly { readonly code: string }[] }): readonly string[] =>
  answer.faults.map(({ code }) => code);

test("a stack that is up does as its configuration says, and its replica and receiver lack nothing", async () => {
  const seen = await durability();
  assert.deepEqual(
    [seen.described.by, seen.described.mode, seen.set.mode, seen.effective.mode],
    ["configuration", "quorum", "quorum", "quorum"],
  );
  assert.deepEqual(seen.confirming, ["db_replica", "lifeboat_vault"]);
  const { primary, standbys } = await replication();
  assert.equal(primary, "db");
  assert.deepEqual(
    standbys.map(({ name, connected, lag }) => [name, connected, lag.flush.bytes]),
    [
      ["db_replica", true, 0],
      ["lifeboat_vault", true, 0],
    ],
  );
});

test("changed under 200 writes a second no write fails; with both confirmers gone none is acknowledged until async is chosen", async (t) => {
  const ledgerFile = path.join(folder, "ledger");
  const client = await one.probe(ledgerFile, WRITES_PER_SECOND);
  const okCount = async (): Promise<number> => (await client.status({})).writes.okCount;
  const goesOn = async (): Promise<void> => {
    const before = await okCount();
    await eventually("writes go on", async () => (await okCount()) > before + WRITES_BETWEEN);
  };
  try {
    await goesOn();
    for (const mode of ["strict", "async --yes", "quorum"]) {
      assert.equal((await durability(mode)).effective.mode, mode.split(" ")[0]);
      await goesOn();
    }
    await one.platform.stop("db_replica", {});
    await goesOn();
    assert.deepEqual(codes(await durability("", EXIT.damaged)), ["confirmer-missing"]);
    await one.platform.stop("receiver", {});
    await eventually("commits wait", async () => {
      const seen = await durability("", EXIT.damaged);
      return codes(seen).includes("nobody-confirms") && seen.waiting.count > 0;
    });
    const stuck = await okCount();
    const watched = await replication(EXIT.damaged);
    assert.deepEqual(
      watched.standbys.map(({ lag }) => lag.flush.seconds),
      [-1, -1],
    );
    assert.equal(await okCount(), stuck);
    const asked = await one.cli.expect(EXIT.refused, "durability async");
    assert.match(asked.err, /\d+ commits? waiting now will be acknowledged at once/);
    assert.equal(await okCount(), stuck);
    assert.equal((await durability("async --yes")).waiting.count, 0);
    await goesOn();
    const report = await client.stop({});
    t.diagnostic(JSON.stringify(report.writes));
    assert.deepEqual([report.writes.failedCount, report.writes.unknownCount], [0, 0]);
  } finally {
    await client.kill();
  }
  const { present, missing, damaged } = await readBack(PORTS.files, { connect: await one.application(), ledgerFile });
  assert.ok(present > 5 * WRITES_BETWEEN, String(present));
  assert.deepEqual([missing, damaged], [[], []]);
});

test("a mode that too few would confirm is refused, and the next start keeps what was chosen", async () => {
  const { err } = await one.cli.expect(EXIT.refused, "durability strict");
  assert.match(err, /nobody streams: no write would be acknowledged/);
  await one.up();
  const seen = await durability();
  assert.deepEqual([seen.described.by, seen.described.mode, seen.effective.mode], ["choice", "async", "async"]);
  assert.deepEqual(codes(await replication()), []);
});

test("what was set behind its back is not undone by a start, and not passed over", async () => {
  await one.ask("db", "ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (db_replica)'");
  await one.ask("db", "SELECT pg_reload_conf()::text");
  const { err } = await one.cli.expect(0, "up");
  assert.match(err, /warning: described is async, the server has "FIRST 1 \(db_replica\)"/);
  assert.deepEqual(codes(await durability("", EXIT.damaged)), ["not-as-described"]);
  assert.deepEqual(codes(await durability("quorum --yes")), []);
});

test("watching writes metrics until it is stopped, and ends well", async () => {
  const file = path.join(folder, "replication.prom");
  const watching = one.cli.start(`replication --interval 200ms --metrics ${file}`);
  const text = await eventually("metrics are there", async () => await readFile(file, "utf8").catch(() => undefined));
  assert.match(text, /^pg_replication_lag_seconds\{standby="db_replica"\} \d/m);
  assert.match(text, /^pg_replication_status\{standby="db_replica"\} 1$/m);
  watching.child.kill("SIGINT");
  const { status, out } = await watching.ended;
  assert.equal(status, 0);
  assert.match(out, /db_replica streaming quorum; write /);
});
