/**
 * A primary, a replica and the witness in quorum, on real servers, and the steps of a failover done by hand.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFile, chmod, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { type Lsn, parseLsn, type Timeline } from "../../src/postgres/lsn.ts";
import type { QueryConnection } from "../../src/postgres/query-connection.ts";
import type { Vault } from "../../src/vault/vault.ts";
import type { HeldWal } from "../../src/wal/held-end.ts";
import { WitnessClient } from "../../src/witness/client.ts";
import { controlSocket } from "../../src/witness/control.ts";
import { fillGap, type GapAnswer } from "../../src/witness/gap-fill.ts";
import { eventually, openStation, type Station, temporaryFolder } from "./receivers.ts";
import { type Major, startServer, type TestServer } from "./servers.ts";

const MIB = 1024 * 1024;
const CALL = { timeoutMs: 10_000 };
const ONE = 1 as Timeline;
const TWO = 2 as Timeline;
const ROW = "repeat('x', 900)";

/** Copies a stopped server's data folder, for its standby. */
async function cloneOf(server: TestServer): Promise<AsyncDisposable & { readonly dataFolder: string }> {
  const clone = await temporaryFolder("standby");
  await chmod(clone.folder, 0o755);
  const dataFolder = path.join(clone.folder, "data");
  execFileSync("cp", ["-a", "--", server.dataFolder, dataFolder]);
  await writeFile(path.join(dataFolder, "standby.signal"), "");
  return { dataFolder, [Symbol.asyncDispose]: () => clone[Symbol.asyncDispose]() };
}

async function set(server: TestServer, name: string, value: string): Promise<void> {
  await server.query(`ALTER SYSTEM SET ${name} = '${value}'`);
  await server.query("SELECT pg_reload_conf()");
  await eventually(`${name} is read`, async () => (await server.value(`SHOW ${name}`)) === value);
}

/** A primary, its replica, and the witness, which follows the primary in reign 1; commits wait for either of the two. */
export class Scene implements AsyncDisposable {
  readonly primary: TestServer;
  readonly replica: TestServer;
  readonly station: Station;
  readonly witness: WitnessClient;
  /** The highest row that was acknowledged; all below were too. */
  acknowledged = 0;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    parts: { readonly primary: TestServer; readonly replica: TestServer; readonly station: Station },
    stack: AsyncDisposableStack,
  ) {
    this.primary = parts.primary;
    this.replica = parts.replica;
    this.station = parts.station;
    this.witness = new WitnessClient(controlSocket(parts.station.spoolFolder));
    this.#stack = stack;
  }

  /** Opens one; the receiver may hold every group back for a while. */
  static async open(
    major: Major,
    receiver: { readonly delayMs?: number; readonly vault?: Vault } = {},
  ): Promise<Scene> {
    await using stack = new AsyncDisposableStack();
    const primary = stack.use(await startServer({ major, walSegmentBytes: MIB, name: "primary" }));
    await primary.query("CREATE TABLE t (i int, t text)");
    await primary.query("SELECT pg_create_physical_replication_slot('replica', true)");
    await primary.stop();
    const clone = stack.use(await cloneOf(primary));
    await primary.start();
    const { host, port, user } = primary.server.address();
    // Not given to the server when it is started: that would win over what is set later.
    const settings = [
      `primary_conninfo = 'host=${host} port=${port} user=${user} application_name=replica'`,
      "primary_slot_name = 'replica'",
      "wal_retrieve_retry_interval = '100ms'",
    ];
    await appendFile(path.join(clone.dataFolder, "postgresql.auto.conf"), `${settings.join("\n")}\n`);
    const replica = stack.use(await startServer({ major, dataFolder: clone.dataFolder, name: "replica" }));
    const station = stack.use(await openStation(receiver.vault));
    await station.start(primary, { delayMs: receiver.delayMs });
    const scene = new Scene({ primary, replica, station }, stack.move());
    await scene.follow(primary, { reign: 1 });
    await scene.streams(primary, "lifeboat_vault_e1");
    await scene.streams(primary, "replica");
    await set(primary, "synchronous_standby_names", "ANY 1 (replica, lifeboat_vault_e1)");
    return scene;
  }

  /** Has the witness follow a server. */
  async follow(server: TestServer, of: { readonly reign: number; readonly timeline?: Timeline }): Promise<void> {
    const { host, port } = server.server.address();
    const { reign, timeline } = of;
    const terms = { reign, upstream: { host, port }, timeline, systemId: undefined, switchLsn: undefined };
    await this.witness.follow(terms, CALL);
    const contiguousWith = await this.flushed();
    await this.witness.grant({ epoch: reign, reign, duration: undefined, contiguousWith }, CALL);
  }

  /** Waits until a confirmer of this name streams from the server. */
  async streams(server: TestServer, name: string): Promise<void> {
    await eventually(`${name} streams`, async () => {
      const sql = "SELECT count(*) FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'";
      return (await server.value(sql, [name])) === "1";
    });
  }

  /** Inserts rows, so many to a commit; returns when the last is acknowledged. */
  async write(count: number, each = 1): Promise<void> {
    const session = await this.primary.server.connect({ namesOf: "database" }, {});
    try {
      for (let done = 0; done < count; done += each) {
        const { acknowledged } = this;
        const sql = `INSERT INTO t SELECT i, ${ROW} FROM generate_series($1::int, $2::int) i`;
        await session.query(sql, [acknowledged + 1, acknowledged + each], CALL);
        this.acknowledged += each;
      }
    } finally {
      await session.close();
    }
  }

  /** Has the replica receive from nobody (rule B7: seen, not asked). */
  async stopReceiving(): Promise<void> {
    await this.replica.query("ALTER SYSTEM SET primary_conninfo = ''");
    await this.replica.query("SELECT pg_reload_conf()");
    await eventually("the replica receives from nobody", async () => {
      const sql = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walreceiver'";
      return (await this.replica.value(sql)) === "0";
    });
  }

  /** The end of what the replica has. */
  async flushed(): Promise<Lsn> {
    return parseLsn(await this.replica.value("SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"));
  }

  /** Fills the replica's gap from the witness; `through` may stand in the way. */
  async fill(
    epoch: number,
    held: HeldWal | undefined,
    through: (node: QueryConnection) => QueryConnection = (node) => node,
  ): Promise<GapAnswer> {
    const node: QueryConnection = await this.replica.server.connect({ namesOf: "database" }, {});
    try {
      const tools = { witness: this.witness, epoch, node: through(node), limits: () => CALL };
      return await fillGap(tools, { held, node: { timeline: ONE, flushed: await this.flushed() } });
    } finally {
      await node.close();
    }
  }

  /** Steps 2 to 4 of a failover in epoch 2, and the witness on the other side; returns where the new timeline began. */
  async failOver(held: HeldWal | undefined): Promise<Lsn> {
    await this.stopReceiving();
    const answer = await this.fill(2, held);
    const target = answer.kind === "filled" ? answer.recordEnd : undefined;
    assert.ok(answer.kind === "filled" || answer.kind === "nothing-to-add", answer.kind);
    if (target !== undefined) {
      await eventually("all of it is replayed", async () => {
        return parseLsn(await this.replica.value("SELECT pg_last_wal_replay_lsn()")) >= target;
      });
    }
    await this.replica.query("SELECT pg_create_physical_replication_slot('lifeboat_vault', true)");
    await set(this.replica, "synchronous_standby_names", "ANY 1 (replica, lifeboat_vault_e2)");
    assert.equal(await this.replica.value("SELECT pg_promote()"), "true");
    await this.follow(this.replica, { reign: 2, timeline: TWO });
    await this.replica.query(`INSERT INTO t VALUES (-1, ${ROW})`);
    const switchLsn = await this.timelineStart();
    if (target !== undefined) assert.ok(switchLsn >= target, "the new timeline begins behind all that is acknowledged");
    return switchLsn;
  }

  /** Where the replica's timeline 2 began. */
  async timelineStart(): Promise<Lsn> {
    const history = await readFile(path.join(this.replica.dataFolder, "pg_wal", "00000002.history"), "utf8");
    return parseLsn(history.split(/\s+/)[1] ?? "");
  }

  /** Fails when an acknowledged row is not on the new primary. */
  async assertNothingLost(): Promise<void> {
    const found = await this.replica.value("SELECT count(DISTINCT i) FROM t WHERE i BETWEEN 1 AND $1", [
      this.acknowledged,
    ]);
    assert.equal(found, String(this.acknowledged));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
