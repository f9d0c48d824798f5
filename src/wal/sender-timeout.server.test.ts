import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, RECEIVER_NAME } from "../../test/support/receivers.ts";
import { startServer } from "../../test/support/servers.ts";
import { SwallowingRelay } from "../../test/support/swallowing-relay.ts";
import type { ReplicationConnection } from "../postgres/replication.ts";
import { openReplication } from "../postgres/replication-connection.ts";
import { openForReceiver } from "./sender-timeout.ts";

test("a receiver that vanishes holds its slot no longer than it asked for, where the server's own setting is more", async () => {
  await using server = await startServer();
  await using relay = await SwallowingRelay.open(server.server.address().port);
  const opened: ReplicationConnection[] = [];
  const asked: (number | undefined)[] = [];
  const open = async (senderTimeoutMs: number | undefined): Promise<ReplicationConnection> => {
    asked.push(senderTimeoutMs);
    const address = { ...server.server.address(), host: "127.0.0.1", port: relay.port, database: undefined };
    const connection = await openReplication({ ...address, applicationName: RECEIVER_NAME, senderTimeoutMs }, {});
    opened.push(connection);
    return connection;
  };
  try {
    const connection = await openForReceiver(open, { senderTimeoutMs: 1000 });
    await connection.createSlot({ name: RECEIVER_NAME, temporary: false, reserveWal: true }, {});
    const { timeline, flushedLsn } = await connection.identifySystem({});
    await connection.startWal({ lsn: flushedLsn, timeline, slot: RECEIVER_NAME }, {});
    const active = () => server.value("SELECT active FROM pg_replication_slots");
    assert.equal(await active(), "true");
    relay.cut();
    await eventually("the slot is free", async () => (await active()) === "false");
    relay.heal();
    assert.deepEqual(asked, [undefined, 1000]);

    asked.length = 0;
    const refused = async (senderTimeoutMs: number | undefined): Promise<ReplicationConnection> => {
      if (senderTimeoutMs !== undefined) throw new Error("a proxy that passes no options on");
      return await open(undefined);
    };
    assert.equal(await openForReceiver(refused, {}), opened.at(-1));
    assert.equal(await (await openForReceiver(open, {})).show("wal_sender_timeout", {}), "10s");
    assert.deepEqual(asked, [undefined, undefined, 10_000]);

    await server.query("ALTER SYSTEM SET wal_sender_timeout = '4s'");
    await server.query("SELECT pg_reload_conf()");
    asked.length = 0;
    const own = await eventually("the server has read it", async () => {
      const next = await openForReceiver(open, {});
      return (await next.show("wal_sender_timeout", {})) === "4s" ? next : undefined;
    });
    assert.equal(own, opened.at(-1), "less than is asked for stays");
    assert.equal(asked.at(-1), undefined);
  } finally {
    await Promise.allSettled(opened.map((connection) => connection.close()));
  }
});
