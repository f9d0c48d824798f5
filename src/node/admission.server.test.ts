/** Controllers that share nothing but the server, halted anywhere between their admission and their order. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { repetitions } from "../../test/support/effort.ts";
import { defaultMajor } from "../../test/support/majors.ts";
import { MAJORS, startServer, type TestServer } from "../../test/support/servers.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { Epoch } from "../failover/ports.ts";
import type { QueryConnection } from "../postgres/query-connection.ts";
import { admitSession } from "./admission.ts";

const NAMES = "ALTER SYSTEM SET synchronous_standby_names = 'too late'";

/** A session of a controller, with what it sends written down, so that it can be halted before any of it. */
class Caller {
  readonly sent: string[] = [];
  readonly #session: QueryConnection;
  marked: Epoch | undefined;

  private constructor(session: QueryConnection) {
    this.#session = session;
  }

  static async to(server: TestServer): Promise<Caller> {
    return new Caller(await server.server.connect({}, {}));
  }

  async admit(epoch: number, haltedAt = Number.POSITIVE_INFINITY) {
    const answer = await admitSession(
      async (sql, parameters = []) => {
        if (this.sent.length >= haltedAt) throw new Halted();
        this.sent.push(sql);
        return await this.run(sql, parameters);
      },
      { epoch: epoch as Epoch, marked: this.marked },
    );
    this.marked = answer === undefined ? (epoch as Epoch) : undefined;
    return answer;
  }

  run(sql: string, parameters: readonly unknown[] = []) {
    return this.#session.query(sql, parameters, { timeoutMs: 5_000 });
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}

class Halted extends Error {}

async function epochOf(server: TestServer): Promise<string> {
  return await server.value("SELECT setting FROM pg_file_settings WHERE name = 'lifeboat.epoch'");
}

for (const major of repetitions(1, MAJORS.length) === 1 ? [defaultMajor()] : MAJORS) {
  test(`a controller that was admitted and then slept does nothing when it wakes, wherever it was halted, on PostgreSQL ${major}`, async () => {
    await using server = await startServer({ major });
    let epoch = 10;
    // One that is halted nowhere says how many places there are.
    const whole = await Caller.to(server);
    assert.equal(await whole.admit(epoch), undefined);
    await whole.close();
    for (let haltedAt = 1; haltedAt <= whole.sent.length; haltedAt += 1) {
      const [sleeping, next, again] = [await Caller.to(server), await Caller.to(server), await Caller.to(server)];
      const asleep = epoch + 1;
      epoch += 2;
      await sleeping.admit(asleep, haltedAt).catch((error: unknown) => assert.ok(error instanceof Halted));
      assert.equal(await next.admit(epoch), undefined);
      await assert.rejects(sleeping.run(NAMES), `halted after ${whole.sent[haltedAt - 1]}`);
      assert.deepEqual(await again.admit(asleep), { kind: "stale-epoch", seen: epoch });
      assert.equal(await epochOf(server), String(epoch));
      for (const each of [sleeping, next, again]) await each.close();
    }
    assert.ok(whole.sent.length >= 8);
    await server.query("SELECT pg_reload_conf()");
    assert.equal(await server.value("SHOW synchronous_standby_names"), "");
  });
}

test("a session whose process was halted at the server has nobody act beside it before it has ended", async () => {
  await using server = await startServer();
  const [halted, next] = [await Caller.to(server), await Caller.to(server)];
  await halted.admit(1);
  const pid = Number((await halted.run("SELECT pg_backend_pid() AS pid"))[0]?.["pid"]);
  process.kill(pid, "SIGSTOP");
  try {
    await assert.rejects(next.admit(2), (error) => isLifeboatError(error, "failover.session-stays"));
  } finally {
    process.kill(pid, "SIGCONT");
  }
  assert.equal(await next.admit(2), undefined);
  await assert.rejects(halted.run(NAMES));
  await Promise.all([halted.close(), next.close()]);
});

test("sessions of one epoch act beside each other, a later epoch of the same session ends nobody of its own, and a restart forgets nothing", async () => {
  await using server = await startServer();
  const [one, two] = [await Caller.to(server), await Caller.to(server)];
  await Promise.all([one.admit(3), two.admit(3)]);
  await Promise.all([one.run("SELECT 1"), two.run("SELECT 1")]);
  assert.equal(await one.admit(4), undefined);
  await one.run("SELECT 1");
  await assert.rejects(two.run("SELECT 1"));
  await Promise.all([one.close(), two.close()]);
  await server.restart();
  const late = await Caller.to(server);
  assert.deepEqual(await late.admit(3), { kind: "stale-epoch", seen: 4 });
  // Refused, it is a session like any other, which nobody ends.
  const next = await Caller.to(server);
  await next.admit(5);
  await late.run("SELECT 1");
  await Promise.all([late.close(), next.close()]);
});

test("whoever else is at work at a server is left alone by each new epoch, whatever numbers are in the locks that he holds", async () => {
  await using server = await startServer();
  const [old, next] = [await Caller.to(server), await Caller.to(server)];
  await old.admit(1_000);
  const strangers = [
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_advisory_lock(1, 1)",
    // One of ours in all but the number of its keys.
    "SELECT pg_advisory_lock(1179312::bigint << 32 | 1)",
    // As a login has for a moment: the database has a small number.
    "COMMENT ON DATABASE postgres IS 'stranger'",
  ];
  const others: QueryConnection[] = [];
  for (const sql of strangers) {
    const other = await server.server.connect({}, {});
    for (const each of ["BEGIN", sql]) await other.query(each, [], { timeoutMs: 5_000 });
    others.push(other);
  }
  assert.equal(await next.admit(2_000), undefined);
  await assert.rejects(old.run("SELECT 1"));
  for (const [index, other] of others.entries()) {
    const [row] = await other.query("SELECT 1 AS lives", [], { timeoutMs: 5_000 });
    assert.equal(row?.["lives"], 1, strangers[index]);
  }
  await Promise.all([old, next, ...others].map((each) => each.close()));
});
