import assert from "node:assert/strict";
import { test } from "node:test";
import { Scene } from "../../test/support/quorum-scene.ts";
import { eventually } from "../../test/support/receivers.ts";
import { MAJORS } from "../../test/support/servers.ts";
import type { QueryConnection } from "../postgres/query-connection.ts";

const CALL = { timeoutMs: 10_000 };
const ROW = "repeat('x', 900)";

/** An old primary after the failover: sessions on it, and what each was told of its commit. */
class OldPrimary implements AsyncDisposable {
  readonly #scene: Scene;
  readonly #sessions: QueryConnection[] = [];
  readonly #commits: Promise<void>[] = [];
  readonly told: string[] = [];

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  async open(): Promise<QueryConnection> {
    const session = await this.#scene.primary.server.connect({ namesOf: "database" }, {});
    this.#sessions.push(session);
    await session.query("SET statement_timeout = 0", [], CALL);
    return session;
  }

  /** Commits, and sees that the commit waits and nobody is there to confirm it. */
  async commitsAndWaits(session: QueryConnection): Promise<void> {
    const commit = session.query(`INSERT INTO t VALUES (1000000, ${ROW})`, [], { timeoutMs: 60_000 });
    this.#commits.push(
      commit.then(
        () => void this.told.push("acknowledged"),
        () => void this.told.push("broken off"),
      ),
    );
    await this.waits(this.#commits.length - this.told.length);
  }

  async waits(count: number): Promise<void> {
    const { primary } = this.#scene;
    const waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    await eventually("its commits wait", async () => (await primary.value(waiting)) === String(count));
    assert.equal(await primary.value("SELECT count(*) FROM pg_stat_replication"), "0");
  }

  /** Resolves when every commit so far was told of. */
  async ended(): Promise<void> {
    await Promise.all(this.#commits);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) await session.close();
  }
}

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: an old primary that was frozen, lives on, was killed or stopped, and returns, acknowledges no commit, whatever restarts`, async () => {
    await using scene = await Scene.open(major);
    const { primary, replica, station } = scene;
    await using old = new OldPrimary(scene);
    await scene.write(20);
    // All of these are opened before the failover.
    const [first, second, third] = [await old.open(), await old.open(), await old.open()];
    let written = 0;
    const restartBoth = async (): Promise<void> => {
      await replica.restart();
      // Its configuration names the old primary still: the mandate says otherwise.
      await station.restart(primary);
      await scene.streams(replica, "lifeboat_vault_e2");
      written += 1;
      await replica.query("INSERT INTO t VALUES ($1, 'the new primary acknowledges')", [-written - 1]);
    };
    const { held } = await scene.witness.withdraw(2, CALL);
    await primary.server.halt();
    await scene.failOver(held);
    await restartBoth();
    // It knows nothing of what happened, and nobody could stop it.
    await primary.server.resume();
    await old.commitsAndWaits(first);
    await old.commitsAndWaits(second);
    await restartBoth();
    await old.waits(2);
    await primary.server.kill();
    await old.ended();
    await primary.start();
    await old.commitsAndWaits(await old.open());
    await restartBoth();
    await old.waits(1);
    await primary.stop("fast");
    await old.ended();
    await assert.rejects(third.query("SELECT 1", [], CALL));
    await primary.start();
    await old.commitsAndWaits(await old.open());
    await restartBoth();
    await old.waits(1);
    await primary.server.kill();
    await old.ended();
    assert.deepEqual(
      old.told,
      Array.from({ length: 4 }, () => "broken off"),
    );
    assert.equal(await replica.value("SELECT count(*) FROM t WHERE i = 1000000"), "0");
    await scene.assertNothingLost();
  });
}
