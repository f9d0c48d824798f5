import assert from "node:assert/strict";
import { test } from "node:test";
import { caughtUp, eventually, openStation, RECEIVER_NAME, serverSegment } from "../../test/support/receivers.ts";
import { MAJORS, startServer, type TestServer } from "../../test/support/servers.ts";

const MIB = 1024 * 1024;

/** Some WAL: a table and about 3 MiB of rows. */
async function writeSome(server: TestServer, name: string): Promise<void> {
  await server.query(`CREATE TABLE ${name} AS SELECT i, repeat('x', 900) AS t FROM generate_series(1, 3000) i`);
}

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: vault and spool hold byte for byte what the server wrote`, async () => {
    await using server = await startServer({ major, walSegmentBytes: MIB });
    await using station = await openStation();
    const receiver = await station.start(server);
    await writeSome(server, "one");
    await caughtUp(server);
    await eventually("the vault has all complete segments", async () => receiver.report().segmentsWaiting === 0);
    const held = await station.held();
    assert.ok(held.size > 3);
    for (const [segment, bytes] of held) {
      const original = await serverSegment(server, segment);
      assert.ok(original?.subarray(0, bytes.byteLength).equals(bytes), segment);
    }
    const report = receiver.report();
    assert.equal(report.mode, "streaming");
    assert.equal(report.lagBytes, 0);
    assert.deepEqual(report.alarms, []);
    const slot = await server.query("SELECT restart_lsn::text FROM pg_replication_slots WHERE slot_name = $1", [
      RECEIVER_NAME,
    ]);
    assert.deepEqual(slot, [{ restart_lsn: report.flushedLsn }]);
    await receiver.stop();
    await receiver.ended;
  });
}
