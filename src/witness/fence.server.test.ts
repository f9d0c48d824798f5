import assert from "node:assert/strict";
import { test } from "node:test";
import { Scene } from "../../test/support/quorum-scene.ts";
import { eventually } from "../../test/support/receivers.ts";
import { MAJORS } from "../../test/support/servers.ts";

const CALL = { timeoutMs: 10_000 };
const ROW = "repeat('x', 900)";

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: a session on an old primary that lives on gets no commit acknowledged, whatever restarts`, async () => {
    await using scene = await Scene.open(major);
    await scene.write(20);
    const open = await scene.primary.server.connect({}, {});
    try {
      await open.query("SET statement_timeout = 0", [], CALL);
      const { held } = await scene.witness.withdraw(2, CALL);
      await scene.failOver(held);
      let acknowledged = false;
      const commit = open.query(`INSERT INTO t VALUES (1000000, ${ROW})`, [], { timeoutMs: 60_000 }).then(
        () => {
          acknowledged = true;
        },
        () => undefined,
      );
      const waits = (): Promise<void> =>
        eventually("its commit waits", async () => {
          return (
            (await scene.primary.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")) === "1"
          );
        }).then(() => undefined);
      await waits();
      await scene.replica.restart();
      // Its configuration names the old primary still: the mandate says otherwise.
      await scene.station.restart(scene.primary);
      await scene.streams(scene.replica, "lifeboat_vault_e2");
      await scene.replica.query(`INSERT INTO t VALUES (-2, ${ROW})`);
      await waits();
      assert.equal(acknowledged, false);
      assert.equal(await scene.primary.value("SELECT count(*) FROM pg_stat_replication"), "0");
      await scene.primary.server.kill();
      await commit;
      assert.equal(acknowledged, false);
    } finally {
      await open.close();
    }
    assert.equal(await scene.replica.value("SELECT count(*) FROM t WHERE i = 1000000"), "0");
    await scene.assertNothingLost();
  });
}
