import assert from "node:assert/strict";
import { test } from "node:test";
import { Scene } from "../../test/support/quorum-scene.ts";
import { MAJORS } from "../../test/support/servers.ts";

const CALL = { timeoutMs: 10_000 };

for (const major of MAJORS) {
  for (const [how, rows, each] of [
    ["within a segment", 40, 1],
    ["by more than two segments", 2_600, 100],
  ] as const) {
    test(`PostgreSQL ${major}: the witness is ahead of the replica ${how}, the primary dies: no row is lost`, async () => {
      await using scene = await Scene.open(major);
      await scene.write(20);
      await scene.stopReceiving();
      await scene.write(rows, each);
      await scene.primary.server.kill();
      const { held } = await scene.witness.withdraw(2, CALL);
      assert.ok(held !== undefined && held.flushedLsn > (await scene.flushed()), "the replica lacks something");
      const switchLsn = await scene.failOver(held);
      await scene.assertNothingLost();
      assert.ok(switchLsn <= held.flushedLsn);
      assert.match(await scene.replica.value("SELECT pg_walfile_name(pg_current_wal_lsn())"), /^00000002/);
    });
  }

  test(`PostgreSQL ${major}: the replica is ahead of the witness, the primary dies: no row is lost`, async () => {
    await using scene = await Scene.open(major, { delayMs: 300 });
    await scene.write(300);
    await scene.primary.server.kill();
    const { held } = await scene.witness.withdraw(2, CALL);
    await scene.stopReceiving();
    assert.ok(held === undefined || held.flushedLsn < (await scene.flushed()), "the witness lacks something");
    assert.deepEqual(await scene.fill(2, held), { kind: "nothing-to-add" });
    await scene.failOver(held);
    await scene.assertNothingLost();
  });
}
