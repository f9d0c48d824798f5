import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { systemClock } from "../../src/platform/clock.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { withListener } from "../../test/support/listener.ts";
import { startPooler } from "../../test/support/pgbouncer.ts";
import { eventually } from "../../test/support/receivers.ts";
import { SUPERUSER, startServer, type TestServer } from "../../test/support/servers.ts";
import { RetryBudget } from "./retry-budget.ts";
import type { Session } from "./session.ts";
import { Way } from "./way.ts";
import { WriteNotDone, Writes } from "./writes.ts";

let server: TestServer;
let way: Way;
let writes: Writes;

const address = () => ({
  host: "127.0.0.1",
  port: server.server.setup.port,
  user: SUPERUSER.name,
  password: SUPERUSER.password,
  database: "postgres",
});

before(async () => {
  server = await startServer({ major: 16, name: "writes" });
  await server.query("create table written (name text)");
  way = new Way("main", systemClock, { ...address(), width: 2 });
  way.start();
  await eventually("a primary is seen", () => Promise.resolve(way.view === "primary"));
  writes = new Writes({
    clock: systemClock,
    random: systemRandom,
    way,
    budget: new RetryBudget(systemClock),
  });
});
after(async () => {
  await way?.stop();
  await server?.[Symbol.asyncDispose]();
});

/** Writes while the server ends at a moment of the transaction. */
async function lost(name: string, when: "before the insert" | "before the commit"): Promise<string> {
  const work = async (session: Session): Promise<void> => {
    if (when === "before the insert") await server.stop("immediate");
    await session.query("insert into written values ($1)", [name]);
    if (when === "before the commit") await server.stop("immediate");
  };
  const outcome = await writes.run(work, { repeatable: true, deadlineMs: 400 }).then(
    () => "done",
    (error: unknown) => (error instanceof WriteNotDone ? error.reason : String(error)),
  );
  await server.start();
  await eventually("a primary is seen", () => Promise.resolve(way.view === "primary"));
  return outcome;
}

test("who was late is told that nothing was done only when no commit was sent, by any of its tries", async () => {
  assert.equal(await lost("a", "before the insert"), "late");
  assert.equal(await lost("b", "before the commit"), "unknown");
  let tries = 0;
  const repeated = async (session: Session): Promise<void> => {
    tries += 1;
    if (tries === 1) {
      await session.query("insert into written values ('c')");
      await server.stop("immediate");
      void server.start();
    }
  };
  await writes.run(repeated, { repeatable: true });
  assert.equal(tries, 2);
});

/** A promise and what fulfils it. */
function gate(): { readonly passed: Promise<void>; readonly pass: () => void } {
  let pass: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => {
    pass = resolve;
  });
  return { passed, pass };
}

test("a statement that takes long is given up by the server, and says nothing of it", async () => {
  let tries = 0;
  const slow = async (session: Session): Promise<void> => {
    tries += 1;
    await session.query("select pg_sleep(20)");
  };
  await assert.rejects(
    writes.run(slow, { repeatable: true, attemptMs: 200 }),
    (error) => error instanceof WriteNotDone && error.reason === "late",
  );
  assert.deepEqual([tries, way.view], [1, "primary"]);
  // All its statements together have the time of one.
  const begun = systemClock.monotonic();
  const steps = async (session: Session): Promise<void> => {
    for (let step = 0; step < 20; step++) await session.query("select pg_sleep(0.15)");
  };
  await assert.rejects(
    writes.run(steps, { repeatable: true, attemptMs: 400 }),
    (error) => error instanceof WriteNotDone && error.reason === "late",
  );
  assert.ok(systemClock.monotonic() - begun < 400 + 250 + 500);
  // Nor does a read that we gave up: the server has other things to do, or a look tells that it is gone.
  await assert.rejects(way.rows("select pg_sleep(0.3)", [], { limitMs: 100 }), /timeout/);
  assert.equal(way.view, "primary");
  const sleeping =
    "select count(*)::int as n from pg_stat_activity where state = 'active' and query like '%pg_sleep(20)'";
  assert.deepEqual(await server.query(`${sleeping} and pid <> pg_backend_pid()`), [{ n: 0 }]);
});

/** Reads that take long, one by one, and what the connection's next transaction is limited to. */
async function limited(port: number, prepares: boolean) {
  const other = new Way("limited", systemClock, { ...address(), port, width: 1, prepares });
  const codeOf = (error: unknown) => (error instanceof Error && "code" in error ? error.code : String(error));
  const raw = { text: "select pg_sleep($1)", values: [21], isPlannedAnew: false };
  try {
    const ends: unknown[] = [];
    for (let round = 0; round < 2; round += 1) {
      ends.push(await other.rows("select pg_sleep($1)", [21], { limitMs: 100 }).catch(codeOf));
      ends.push(await other.rawRows(raw, { limitMs: 100 }).catch(codeOf));
      const { rows } = await other.rawRows({ ...raw, values: [0] }, { limitMs: 100 });
      ends.push(rows.length, ...(await other.rows("select 1 as one", [], { limitMs: 100 })));
    }
    const show = async (session: Session) => (await session.query("show statement_timeout")).rows;
    return [...ends, ...(await other.lend(show, { timeoutMs: () => 1_000 }))];
  } finally {
    await other.stop();
  }
}

test("a read that takes long is given up by the server, also behind a pooler, and what comes after it on the connection is not", async () => {
  await using pooler = await startPooler(server);
  const read = ["57014", "57014", 1, { one: 1 }];
  const next = (limit: string) => [...read, ...read, { statement_timeout: limit }];
  assert.deepEqual(await limited(pooler.port, false), next("0"));
  assert.deepEqual(await limited(pooler.port, true), next("0"));
  // A connection that stays with its server has it for good, under what a transaction sets for itself.
  assert.deepEqual(await limited(server.server.setup.port, true), next("100ms"));
  const asleep = "select count(*)::int as n from pg_stat_activity where state = 'active' and wait_event = 'PgSleep'";
  assert.deepEqual(await server.query(asleep), [{ n: 0 }]);
});

test("who waits for a connection while the server is replaced gets one of the new ones, and what hangs ends", async () => {
  await using other = await startServer({ major: 16, name: "successor" });
  let leadsTo = server.server.setup.port;
  const join = (client: Socket): void => {
    const onward = connect({ host: "127.0.0.1", port: leadsTo });
    for (const each of [client, onward]) each.on("error", () => undefined);
    client.pipe(onward).pipe(client);
  };
  await withListener(join, async (port) => {
    const led = new Way("led", systemClock, { ...address(), port, width: 2 });
    led.start();
    try {
      await eventually("a primary is seen", () => Promise.resolve(led.view === "primary"));
      const next = gate();
      const killed = await asleep(led);
      const hung = led.rows("select pg_sleep(20)", [], { limitMs: 30_000 });
      const hanging = assert.rejects(hung, /Connection terminated/);
      // The first to wait gets the place of the one that is lost, the second one none.
      const waiting = led.lend(async () => await next.passed, { timeoutMs: () => 1_000 });
      const last = led.rows("select 1 as one", [], { limitMs: 1_000 });
      const began = Date.now();
      leadsTo = other.server.setup.port;
      await killed.lose();
      assert.deepEqual(await last, [{ one: 1 }]);
      assert.ok(Date.now() - began < 3_000, "it waited for a pool that serves nobody");
      next.pass();
      await waiting;
      await hanging;
      assert.equal(led.view, "primary");
    } finally {
      await led.stop();
    }
  });
});

test("a server that was silent and is the same one goes on with what it was at work on", async () => {
  const killed = await asleep(way);
  const long = way.rows("select 1 as one from pg_sleep(1.6)", [], { limitMs: 30_000 });
  await eventually("it is under way", async () => {
    const [row] = await server.query("select count(*)::int as n from pg_stat_activity where wait_event = 'PgSleep'");
    return row?.["n"] === 2;
  });
  await killed.lose();
  await eventually("a primary is seen", () => Promise.resolve(way.view === "primary"));
  assert.deepEqual(await long, [{ one: 1 }]);
});

/** A statement of twenty seconds whose connection is lost when that is asked for; resolves when it is under way. */
async function asleep(through: Way): Promise<{ lose(): Promise<void> }> {
  const pid = gate();
  let backend = 0;
  const killed = through.lend(
    async (session) => {
      backend = Number((await session.query("select pg_backend_pid() as pid")).rows[0]?.["pid"]);
      pid.pass();
      await session.query("select pg_sleep(20)");
    },
    { timeoutMs: () => 30_000 },
  );
  const killing = assert.rejects(killed);
  await pid.passed;
  return {
    lose: async () => {
      await server.query(`select pg_terminate_backend(${backend})`);
      await killing;
    },
  };
}

test("a statement that was prepared is prepared anew when a column of it has another type", async () => {
  await server.query("create table kept (price integer); insert into kept values (12)");
  const preparing = new Way("kept", systemClock, { ...address(), width: 1, prepares: true });
  const asked = { text: "select * from kept where price > $1", values: [1], isPlannedAnew: false };
  const read = async () => {
    const { columns, rows } = await preparing.rawRows(asked, { limitMs: 5_000 });
    return [columns.map(({ typeId }) => typeId), rows.length];
  };
  try {
    assert.deepEqual(
      [await read(), await read()],
      [
        [[23], 1],
        [[23], 1],
      ],
    );
    await server.query("alter table kept alter column price type numeric(14,2)");
    assert.deepEqual(
      [await read(), await read()],
      [
        [[1700], 1],
        [[1700], 1],
      ],
    );
  } finally {
    await preparing.stop();
  }
});

test("who waited for a primary in vain is forgotten", async () => {
  await server.stop("immediate");
  await eventually("nothing is seen", () => Promise.resolve(way.view === "silent"));
  assert.equal(await way.untilPrimary(10), false);
  assert.equal(way.load.untilPrimary, 0);
  await server.start();
});

test("a password that is changed in its file before or after the server has it costs no write", async () => {
  const file = { line: "first", looks: 0 };
  await server.query("create role turned login password 'first'; grant all on written to turned");
  const password = {
    first: file.line,
    now: async () => {
      file.looks += 1;
      return file.line;
    },
  };
  const turning = new Way("turned", systemClock, { ...address(), user: "turned", password, width: 1 });
  const turned = new Writes({
    clock: systemClock,
    random: systemRandom,
    way: turning,
    budget: new RetryBudget(systemClock),
  });
  /** On a new connection. */
  const write = async (name: string): Promise<void> => {
    await turned.run((session) => session.query("insert into written values ($1)", [name]), { repeatable: true });
    await server.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'turned'");
  };
  turning.start();
  try {
    await write("with the first");
    file.line = "second";
    const { looks } = file;
    turning.suspect();
    // Who was answered just now is not called silent for a while.
    await eventually("it was looked for longer", async () => {
      turning.suspect();
      return file.looks > looks + 9;
    });
    assert.equal(turning.view, "primary");
    await write("with the first, of which the file knows no more");
    await server.query("alter role turned password 'second'");
    await write("with the second");
    await server.query("alter role turned password 'third'");
    const late = write("with the third, of which the file did not know at first");
    file.line = "third";
    await late;
  } finally {
    await turning.stop();
  }
});
