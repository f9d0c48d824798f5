/**
 * A whole stack of real programs while the links between its parties are cut, one way and both, flap, are slow and lose packets,
 * while its daemon ends or hangs at any step, and while a disk is full. One stack for all: each failover swaps the roles.
 * What links are and what they cannot show: test/support/links.ts.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { rename, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import pg from "pg";
import { planFailover, planSwitchover } from "../../src/failover/plan.ts";
import { makeWriteTable } from "../../src/probe/write-table.ts";
import { instancesOf, poolerSocketFolder } from "../../src/stack/instances.ts";
import type { NodeName } from "../../src/stack/node-settings.ts";
import { componentSpec } from "../../src/stack/specs.ts";
import { controlSocket } from "../../src/witness/control.ts";
import { Chance } from "../simulation/chance.ts";
import { repetitions, testSeed } from "../support/effort.ts";
import { LinkedStack } from "../support/linked-stack.ts";
import type { Way, Where } from "../support/links.ts";
import type { DaemonEnd } from "../support/mortal-daemon-process.ts";
import { PROGRAMS } from "../support/program.ts";
import { forAWhile, makeStackFolder } from "../support/real-stack.ts";
import { eventually } from "../support/receivers.ts";
import { silenced } from "../support/silent-sockets.ts";
import { SmallDisk } from "../support/small-disks.ts";
import { WatchedStack } from "../support/watched-stack.ts";

/** The primary counts as silent after 2.6 s; until then clients wait. */
const HOLD_MS_MAX = 6_000;
/** A daemon that was killed, the next one that is started and looks, and the rest of a failover. */
const SETTLED_MS_MAX = 15_000;
/** In the long run longer than it takes to notice. */
const EPISODE_MS = repetitions(1_000, 3_000);
/** Of the client that writes. */
const LANES = 16;
/** Two segments, and little more. */
const SPOOL_MIB = 40;
/** What a replica keeps, and a few segments more. */
const WAL_MIB = 160;
const WAYS = [["to", "from"], ["to"], ["from"]] as const;

const chance = new Chance(testSeed());
let folder = "";
/** Where the daemon is told how to end. */
let script = "";
let linked: LinkedStack;
let watched: WatchedStack;

before(async () => {
  folder = await makeStackFolder();
  linked = await LinkedStack.up(folder, () => chance.next());
  watched = new WatchedStack(linked.one, folder);
  script = path.join(folder, "daemon-ends-at");
  await runMortalDaemon();
  await makeWriteTable(await linked.one.application(), {});
  await past("db", (session) => session.query("CREATE TABLE never_told (value int)"));
});

after(async () => {
  await linked.end();
  await rm(folder, { recursive: true, force: true });
});

/**
 * The daemon as it is, but that it can be told where to end; its supervisor starts it again at once. Nobody stands by: what
 * one that begins anew finds is what is tested here.
 */
async function runMortalDaemon(): Promise<void> {
  const { stack, tools } = await linked.one.tools();
  const spec = componentSpec(stack, "daemon", tools);
  const from = spec.arguments.indexOf(PROGRAMS.lifeboat);
  const process_ = new URL("../support/mortal-daemon-process.ts", import.meta.url).pathname;
  const args = [...spec.arguments.slice(0, from), process_, script, ...spec.arguments.slice(from + 1)];
  for (const name of ["daemon_2", "daemon"]) await linked.one.platform.stop(name, {});
  await linked.one.platform.start({ ...spec, restart: "on-failure", arguments: args }, {});
}

/** The recorded primary and the other node, of a stack that is whole. */
async function roles(): Promise<{ readonly old: NodeName; readonly next: NodeName; readonly timeline: number }> {
  const { primary, timeline } = await watched.whole();
  const old = primary as NodeName;
  return { old, next: old === "db" ? "db_replica" : "db", timeline };
}

async function assertNothingPromoted({ old, timeline }: Awaited<ReturnType<typeof roles>>): Promise<void> {
  const now = await roles();
  assert.deepEqual([now.old, now.timeline], [old, timeline], "nothing was promoted");
}

test("a primary that only the controller cannot reach is heard by others: nothing is promoted, and clients wait only until that is sure", async () => {
  for (let count = 0; count < repetitions(1, 6); count += 1) {
    const ways = chance.pick(WAYS);
    const seen = await roles();
    const writes = await watched.underWrites(`unseen-${count}`, async () => {
      linked.links(seen.old).set({ cut: true }, { parties: ["controller"], ways });
      await eventually("it is held", async () => {
        const seen = await watched.look();
        return seen?.state === "hold" && seen.reasons.some(({ code }) => code === "still-heard");
      });
      await forAWhile(500);
      linked.links(seen.old).heal();
    });
    assert.deepEqual([writes.window.failedCount, writes.window.unknownCount], [0, 0], ways.join());
    const { durationMs } = writes.window.longestGap;
    assert.ok(durationMs < HOLD_MS_MAX, `clients waited for ${durationMs} ms`);
    await assertNothingPromoted(seen);
  }
});

test("a primary that nobody but its clients reaches, and nobody can stop, acknowledges nothing any more, also when its links are back", async () => {
  const { old, next } = await roles();
  const sessions = [await openPast(old), await openPast(old)];
  const supervisor = await linked.one.supervisorPid();
  const told: string[] = [];
  const commit = async (session: pg.Client | undefined): Promise<void> => {
    await session?.query("INSERT INTO never_told VALUES (1)").then(
      () => told.push("acknowledged"),
      () => told.push("broken off"),
    );
  };
  try {
    await watched.underWrites("cut-off", async () => {
      // Whoever could stop it hangs.
      process.kill(supervisor, "SIGSTOP");
      linked.links(old).set({ cut: true });
      const commits = [commit(sessions[0])];
      const inRecovery = "SELECT pg_is_in_recovery()";
      await eventually("the other has taken over", async () => (await linked.ask(next, inRecovery)) === "false");
      commits.push(commit(sessions[1]));
      await eventually("clients are led there", async () => {
        const poolers = (await watched.look())?.poolers ?? [];
        return poolers.length > 0 && poolers.every(({ mode, target }) => mode === "serving" && target === next);
      });
      linked.links(old).heal();
      const waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'told'";
      await eventually("both commits wait", async () => (await linked.ask(old, waiting)) === "2");
      await forAWhile(500);
      assert.deepEqual([await linked.ask(old, inRecovery), told], ["false", []]);
      process.kill(supervisor, "SIGCONT");
      await Promise.all(commits);
    });
    assert.deepEqual(told, ["broken off", "broken off"]);
    await watched.whole();
    const { rows } = await past(next, (session) => session.query("SELECT FROM never_told"));
    assert.equal(rows.length, 0);
  } finally {
    process.kill(supervisor, "SIGCONT");
    for (const session of sessions) session.connection.stream.destroy();
  }
});

test("with the receiver silent to the controller a killed primary is not replaced, for nobody can say what only the vault has: it is started again", async () => {
  const seen = await roles();
  const { place } = await linked.one.stack();
  await watched.underWrites("receiver-silent", async () => {
    await using _silent = await silenced(controlSocket(place.spool));
    await linked.one.crash(seen.old);
    const isBack = async (): Promise<boolean> =>
      (await linked.ask(seen.old, "SELECT pg_is_in_recovery()").catch(() => "")) === "false";
    await eventually("it is back", isBack);
    assert.equal(await linked.ask(seen.next, "SELECT pg_is_in_recovery()"), "true");
  });
  await assertNothingPromoted(seen);
});

/** What is wrong with the primary's links, and for how long; so many times, with a pause as long in between. */
type Episode = Where & { readonly change: Partial<Way>; readonly forMs: number; readonly times?: number };

function episodes(): readonly Episode[] {
  const cut = { cut: true } as const;
  return [
    { change: cut, parties: ["replica"], ways: chance.pick(WAYS), forMs: EPISODE_MS },
    { change: cut, parties: ["receiver"], ways: chance.pick(WAYS), forMs: EPISODE_MS },
    { change: cut, parties: ["replica", "receiver"], ways: chance.pick(WAYS), forMs: 1_000 },
    { change: cut, ways: chance.pick(WAYS), forMs: chance.between(100, 250), times: repetitions(5) },
    { change: { delayMs: 15, lossShare: 0.05 }, forMs: EPISODE_MS },
  ];
}

test("replica and receiver cut off from the primary, links that flap, are slow and lose packets: nothing is promoted, and no write fails", async () => {
  for (let count = 0; count < repetitions(1, 5); count += 1) {
    const seen = await roles();
    const links = linked.links(seen.old);
    const writes = await watched.underWrites(`links-${count}`, async () => {
      for (const { change, forMs, times = 1, ...where } of episodes()) {
        for (let time = 0; time < times; time += 1) {
          links.set(change, where);
          await forAWhile(forMs);
          links.heal();
          await forAWhile(Math.min(forMs, 300));
        }
      }
    });
    assert.deepEqual([writes.window.failedCount, writes.window.unknownCount], [0, 0]);
    await assertNothingPromoted(seen);
  }
});

/** Does something in such a session. */
async function past<T>(node: NodeName, work: (session: pg.Client) => Promise<T>): Promise<T> {
  const session = await openPast(node);
  try {
    return await work(session);
  } finally {
    await session.end();
  }
}

/** A session of the application on a node, past its links. */
async function openPast(node: NodeName): Promise<pg.Client> {
  const { host, port, user, database, password } = await linked.past(node);
  const session = new pg.Client({ host, port, user, database, password: password ?? "", application_name: "told" });
  session.on("error", () => undefined);
  await session.connect();
  return session;
}

/** Every step of both plans, before it is done and after, and what makes the plan be made. */
type Cut = Pick<DaemonEnd, "step" | "at"> & { readonly by: "failover" | "switchover" };

function drawCuts(): readonly Cut[] {
  const terms = { consultWitness: true, overHole: false, outwaitGrant: false, confirmedStop: false, holdBack: false };
  const parties = { from: "db", to: "db_replica" };
  const plans = [
    planFailover({ ...parties, terms: { ...terms, others: [] } }),
    planSwitchover({ ...parties, others: [], holdBack: false }),
  ];
  return plans.flatMap(({ kind, stages }) => {
    const by = kind === "failover" ? kind : "switchover";
    const all = stages.flat().flatMap(({ kind: step }): Cut[] => [
      { by, step, at: "intent" },
      { by, step, at: "outcome" },
    ]);
    const drawn: Cut[] = [];
    for (const count = repetitions(1, all.length); drawn.length < count; ) {
      drawn.push(...all.splice(chance.whole(0, all.length - 1), 1));
    }
    return drawn;
  });
}

/** Has the daemon end, or hang, at this line of its journal; resolves when it has been told. */
async function endDaemonAt(end: DaemonEnd): Promise<void> {
  await writeFile(script, JSON.stringify(end));
}

async function daemonEnded(): Promise<void> {
  await eventually("the daemon came to its end", async () => !existsSync(script));
}

/**
 * In the usual run two cuts, in the long run all, so that one that goes wrong hides only those of its own test. A daemon that ends
 * so soon each time is started again ever later, and after a dozen times not at all: each test starts it anew.
 */
const CUTS_IN_A_TEST = repetitions(2, 3);
let cutBefore = 0;
for (const cuts = [...drawCuts()]; cuts.length > 0; ) {
  const these = cuts.splice(0, CUTS_IN_A_TEST);
  const drawn = these.map(({ by, step, at }) => `${by} ${step} ${at}`).join(", ");
  test(`a daemon that is killed at a step leaves the work to the next one, which finishes or undoes it, and leaves no client waiting: ${drawn}`, async (t) => {
    if (cutBefore > 0) await runMortalDaemon();
    cutBefore += these.length;
    const writes = await watched.underWrites(`killed-at-${these[0]?.step}-${these[0]?.at}`, async () => {
      for (const { by, ...cut } of these) {
        const { old, next } = await roles();
        await endDaemonAt({ ...cut, how: "kill" });
        const asked = by === "switchover" ? linked.one.cli.run(`switchover --to ${next}`) : linked.one.crash(old);
        await daemonEnded();
        await asked;
        const { old: now } = await roles();
        t.diagnostic(`${by}, killed at the ${cut.at} of ${cut.step}: ${now === old ? "undone" : "finished"}`);
      }
    });
    assert.ok(writes.window.longestGap.durationMs < SETTLED_MS_MAX, JSON.stringify(writes.window.longestGap));
  });
}

/** The candidate crashes in its promotion, and nobody sees the old primary's disk again; `meanwhile` is what else happens. */
async function loseCandidate(name: string, meanwhile: (next: NodeName) => Promise<void>): Promise<void> {
  await watched.underWrites(name, async () => {
    const { old, next } = await roles();
    const { place } = await linked.one.stack();
    await endDaemonAt({ step: "see-promoted", at: "intent", how: "stall" });
    await linked.one.crash(old);
    await daemonEnded();
    await eventually("it is promoted", async () => (await linked.ask(next, "SELECT pg_is_in_recovery()")) === "false");
    await meanwhile(next);
    await rm(place.dataOf(old), { recursive: true });
    await linked.up();
    assert.equal((await roles()).old, next);
  });
  await runMortalDaemon();
}

// In the usual run the simulation has this, and step by step the tests beside src/stack/.
for (let count = 0; count < repetitions(0, 1); count += 1) {
  test("a power cut in the middle of a promotion, with the old primary's disk lost in it: up brings the stack back with the new primary, and nothing is lost", async () => {
    await loseCandidate("power-cut", () => linked.one.crashAll());
  });

  test("a candidate that crashes in its promotion, with the old primary's disk gone and the daemon hanging, is started again and loses nothing", async () => {
    await loseCandidate("candidate", async (next) => {
      await linked.one.crash(next);
      await linked.one.crash("daemon");
    });
  });
}

for (let count = 0; count < repetitions(0, 1); count += 1) {
  test("a new primary that is lost before anybody follows it is started again, and loses nothing", async () => {
    const { old, next } = await roles();
    await watched.underWrites("new-primary", async () => {
      await linked.one.crash(old);
      await eventually("it is recorded", async () => (await watched.look())?.primary === next);
      await linked.one.crash(next);
      await watched.whole();
    });
    assert.equal((await roles()).old, next);
  });
}

// In the usual run the controller's own tests have this.
for (let count = 0; count < repetitions(0, 1); count += 1) {
  test("a primary that freezes while it writes a switchover's checkpoint is replaced as if nobody had asked, and the switchover refused", async () => {
    const { old, next } = await roles();
    const writer = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'";
    const asked = "SELECT count(*) FROM pg_stat_activity WHERE query = 'CHECKPOINT' AND state = 'active'";
    await watched.underWrites("checkpoint", async () => {
      process.kill(Number(await linked.ask(old, writer)), "SIGSTOP");
      const switchover = linked.one.cli.expect(3, `switchover --to ${next}`);
      await eventually("its checkpoint is written", async () => (await linked.ask(old, asked)) === "1");
      await linked.one.platform.freeze(old, {});
      const frozenAt = performance.now();
      await eventually("it is replaced", async () => (await watched.look())?.primary === next);
      assert.ok(performance.now() - frozenAt < HOLD_MS_MAX, `after ${performance.now() - frozenAt} ms`);
      assert.match((await switchover).err, /wrote no checkpoint.*\ncode: failover\.switchover-refused/s);
    });
    assert.equal((await roles()).old, next);
  });

  test("a replica whose replay somebody has paused takes over all the same, and has everything", async () => {
    const { old, next } = await roles();
    await watched.underWrites("replay-paused", async () => {
      await linked.ask(next, "SELECT pg_wal_replay_pause()");
      await forAWhile(500);
      await linked.one.crash(old);
      await eventually("it is replaced", async () => (await watched.look())?.primary === next);
    });
    assert.equal((await roles()).old, next);
  });

  test("a controller that no pooler answers promotes nothing for that; it replaces a killed primary, and leads clients there as soon as poolers are reached", async () => {
    const seen = await roles();
    await linked.one.cli.json("scale pgbouncer 2");
    const stack = { ...(await linked.one.stack()), poolers: 2 };
    const sockets = instancesOf(stack, "pgbouncer").map((name) =>
      path.join(poolerSocketFolder(stack, name), `.s.PGSQL.${stack.ports.pgbouncer}`),
    );
    const unreached = async (): Promise<boolean> => {
      const report = await watched.look();
      return report?.poolers.every(({ mode }) => mode === "does not answer") === true;
    };
    await watched.underWrites("poolers-unreached", async () => {
      const silent = await Promise.all(sockets.map(silenced));
      try {
        // What it had open goes with it.
        await runMortalDaemon();
        await eventually("no pooler answers", unreached);
        await forAWhile(1_000);
        assert.equal(await linked.ask(seen.next, "SELECT pg_is_in_recovery()"), "true");
        await linked.one.crash(seen.old);
        await eventually("it is replaced", async () => (await watched.look())?.primary === seen.next);
        assert.ok(await unreached());
      } finally {
        for (const each of silent) await each[Symbol.asyncDispose]();
      }
      await watched.whole();
    });
    assert.equal((await roles()).old, seen.next);
    await linked.one.cli.json("scale pgbouncer 1");
    await runMortalDaemon();
  });
}

// In the usual run the decision has this.
for (let count = 0; count < repetitions(0, 1); count += 1) {
  test("a primary whose WAL has no room crashes, recovers and crashes again, and is replaced", async (t) => {
    const { old, next } = await roles();
    const { place } = await linked.one.stack();
    await linked.one.platform.stop(next, {});
    const elsewhere = path.join(folder, "wal");
    await rename(path.join(place.dataOf(next), "pg_wal"), elsewhere);
    await symlink(elsewhere, path.join(place.dataOf(next), "pg_wal"));
    await using disk = SmallDisk.over(elsewhere, WAL_MIB);
    if (disk === undefined) t.diagnostic("not shown: no file system can be mounted here");
    assert.equal((await roles()).old, old);
    await linked.one.cli.json(`switchover --to ${next}`);
    assert.equal((await roles()).old, next);
    if (disk === undefined) return;
    const endSegment = "SELECT pg_switch_wal()";
    await watched.underWrites("wal-full", async () => {
      disk.fill();
      await eventually("it is replaced", async () => {
        // Each segment that ends wants another one, also after it has recovered.
        await linked.ask(next, endSegment).catch(() => undefined);
        return (await linked.ask(old, "SELECT pg_is_in_recovery()")) === "false";
      });
      await disk.empty();
    });
    assert.equal((await roles()).old, old);
    await linked.one.platform.stop(next, {});
    await rm(path.join(place.dataOf(next), "pg_wal"));
    execFileSync("cp", ["-a", "--", elsewhere, path.join(place.dataOf(next), "pg_wal")]);
    assert.equal((await roles()).old, old);
  });
}

test("a daemon that hangs, and then dies, delays no commit that the receiver alone confirms", async () => {
  const seen = await roles();
  const writes = await watched.underWrites("receiver-alone", async () => {
    linked.links(seen.old).set({ cut: true }, { parties: ["replica"] });
    await linked.one.platform.freeze("daemon", {});
    await forAWhile(1_000);
    await linked.one.crash("daemon");
    await forAWhile(500);
    linked.links(seen.old).heal();
  });
  assert.deepEqual([writes.window.failedCount, writes.window.unknownCount], [0, 0]);
  assert.ok(writes.window.longestGap.durationMs < 1_000, JSON.stringify(writes.window.longestGap));
  await assertNothingPromoted(seen);
});

test("a receiver whose disk is full confirms nothing that it does not have, and goes on when there is room", async (t) => {
  const seen = await roles();
  const { old } = seen;
  const { place } = await linked.one.stack();
  const { platform } = linked.one;
  await platform.stop("receiver", {});
  await using disk = SmallDisk.over(place.spool, SPOOL_MIB);
  await linked.one.up();
  if (disk === undefined) return t.diagnostic("not shown: no file system can be mounted here");
  const waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'INSERT%'";
  const writes = await watched.underWrites("spool-full", async () => {
    disk.fill();
    await linked.ask(old, "SELECT pg_switch_wal()");
    // The replica confirms alone.
    await forAWhile(1_000);
    linked.links(old).set({ cut: true }, { parties: ["replica"] });
    await eventually("nobody confirms", async () => {
      // A segment that was uploaded gave room back, and of a file that was laid out before the rest is had.
      disk.fill();
      await linked.ask(old, "SELECT pg_switch_wal()");
      const before = Number(await linked.ask(old, waiting));
      await forAWhile(500);
      return Math.min(before, Number(await linked.ask(old, waiting))) > LANES / 2;
    });
    await disk.empty();
    await eventually("the receiver confirms", async () => Number(await linked.ask(old, waiting)) < LANES / 2);
    linked.links(old).heal();
  });
  await assertNothingPromoted(seen);
  assert.deepEqual([writes.window.failedCount, writes.window.unknownCount], [0, 0], JSON.stringify(writes.window));
  await watched.whole();
  await platform.stop("receiver", {});
});
