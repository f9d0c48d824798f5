import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import {
  caughtUp,
  eventually,
  openStation,
  RECEIVER_NAME,
  type Station,
  serverSegment,
} from "../../test/support/receivers.ts";
import { startServer, type TestServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { type FileHandle, type Files, fileError, systemFiles } from "../platform/files.ts";
import { type Lsn, parseLsn, type SystemId, segmentName, type Timeline } from "../postgres/lsn.ts";
import { openMemoryStore } from "../store/memory/memory-store.ts";
import type { Store } from "../store/store.ts";
import { putSegment } from "../vault/wal-store.ts";
import { laidOutBytes } from "./spool-marks.ts";

const MIB = 1024 * 1024;

async function writeRows(server: TestServer, name: string, count: number): Promise<void> {
  await server.query(`CREATE TABLE ${name} AS SELECT i, repeat('x', 900) AS t FROM generate_series(1, ${count}) i`);
}

async function assertSameAsServer(server: TestServer, station: Station): Promise<void> {
  for (const [segment, bytes] of await station.held()) {
    const original = await serverSegment(server, segment);
    assert.ok(original?.subarray(0, bytes.byteLength).equals(bytes), `${segment} is what the server has`);
  }
}

/** What the server was told is flushed: the slot remembers it when the connection is gone. */
async function confirmed(server: TestServer): Promise<Lsn> {
  const lsn = await server.value("SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = $1", [RECEIVER_NAME]);
  return parseLsn(lsn);
}

/** Commits one after another until the receiver has laid out the file of the next segment, and makes it begin that. */
async function intoLaidOutFile(server: TestServer, station: Station): Promise<void> {
  await server.query("CREATE TABLE small (i int)");
  const size = laidOutBytes(MIB);
  await eventually("the next file is laid out", async () => {
    await server.query("INSERT INTO small VALUES (1)");
    return (await systemFiles.stat(path.join(station.spoolFolder, "spare")))?.sizeBytes === size;
  });
  await server.query("SELECT pg_switch_wal()");
  await eventually("it is received into", async () => {
    await server.query("INSERT INTO small VALUES (1)");
    await caughtUp(server);
    const names = await readdir(station.spoolFolder, { recursive: true });
    const partial = names.find((name) => name.endsWith(".partial"));
    if (partial === undefined) return false;
    return (await systemFiles.stat(path.join(station.spoolFolder, partial)))?.sizeBytes === size;
  });
}

/** A disk whose faults are switched on and off. A sync that fails loses what it should have kept. */
class Disk {
  fault: "none" | "sync" | "full" = "none";
  faults = 0;
  readonly files: Files = {
    ...systemFiles,
    open: async (file, mode, permissions) => {
      const handle = await systemFiles.open(file, mode, permissions);
      return /\/[0-9A-F]{24}\.partial$/.test(file) && mode !== "read" ? this.#wrap(handle, file) : handle;
    },
  };

  #wrap(handle: FileHandle, file: string): FileHandle {
    let unsynced: { readonly position: number; readonly length: number }[] = [];
    const writeNow = (data: Uint8Array, position: number): void => {
      if (this.fault === "full") {
        this.faults += 1;
        handle.writeNow(data.subarray(0, data.byteLength >> 1), position);
        throw fileError("write", file, Object.assign(new Error("planned"), { code: "ENOSPC" }));
      }
      unsynced.push({ position, length: data.byteLength });
      handle.writeNow(data, position);
    };
    const syncNow = (): void => {
      if (this.fault === "sync") {
        this.faults += 1;
        for (const { position, length } of unsynced) handle.writeNow(Buffer.alloc(length, 0xee), position);
        throw fileError("sync", file, Object.assign(new Error("planned"), { code: "EIO" }));
      }
      handle.syncNow();
      unsynced = [];
    };
    return {
      read: (at) => handle.read(at),
      write: async (data, position) => writeNow(data, position),
      writeNow,
      writeParts: (parts) => handle.writeParts(parts),
      truncate: (lengthBytes) => handle.truncate(lengthBytes),
      sync: async () => syncNow(),
      writeBack: () => handle.writeBack(),
      syncNow,
      stat: () => handle.stat(),
      close: () => handle.close(),
    };
  }
}

/** A store that is switched off and on. */
class Outage {
  down = false;
  refusals = 0;
  readonly store: Store;

  constructor() {
    const store = openMemoryStore({ clock: systemClock });
    const refuse = (): void => {
      if (!this.down) return;
      this.refusals += 1;
      throw new LifeboatError("store.failed", { message: "planned outage", remedy: "Wait.", retryable: true });
    };
    this.store = {
      name: store.name,
      put: async (...given) => {
        refuse();
        await store.put(...given);
      },
      get: async (...given) => {
        refuse();
        return await store.get(...given);
      },
      getRange: (...given) => store.getRange(...given),
      head: (...given) => store.head(...given),
      list: (...given) => {
        refuse();
        return store.list(...given);
      },
      delete: (...given) => store.delete(...given),
    };
  }
}

test("a failed sync drops the connection, and what it should have kept is neither confirmed nor trusted", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  await using station = await openStation();
  const disk = new Disk();
  const receiver = await station.start(server, { files: disk.files });
  await intoLaidOutFile(server, station);
  await writeRows(server, "before", 100);
  await caughtUp(server);
  const safe = await confirmed(server);
  const walsender = await server.value("SELECT pid FROM pg_stat_replication");

  disk.fault = "sync";
  await writeRows(server, "during", 3000);
  await eventually("the sync fails several times", async () => disk.faults >= 2);
  assert.equal(await confirmed(server), safe, "nothing is confirmed beyond the last sync that succeeded");
  assert.notEqual(await server.value("SELECT coalesce(max(pid), 0) FROM pg_stat_replication"), walsender);
  assert.equal(receiver.report().lastError?.code, "platform.file-failed");

  disk.fault = "none";
  await caughtUp(server);
  await assertSameAsServer(server, station);
});

test("a full disk under the spool is an alarm, nothing is confirmed meanwhile, and it goes on when there is space", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  await using station = await openStation();
  const disk = new Disk();
  const receiver = await station.start(server, { files: disk.files });
  await writeRows(server, "before", 100);
  await caughtUp(server);
  const safe = await confirmed(server);

  disk.fault = "full";
  await writeRows(server, "during", 3000);
  await eventually("it waits for space", async () => receiver.report().mode === "waiting-for-space");
  assert.equal(await confirmed(server), safe);
  assert.equal(receiver.report().lastError?.code, "platform.disk-full");
  assert.deepEqual(
    receiver.report().alarms.map(({ kind }) => kind),
    ["no-space"],
  );

  disk.fault = "none";
  await caughtUp(server);
  assert.deepEqual(receiver.report().alarms, []);
  await assertSameAsServer(server, station);
});

test("a vault that is down delays nothing that is confirmed, raises an alarm, and gets all of it later", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  const outage = new Outage();
  await using station = await openStation(await createTestVault(outage.store));
  const receiver = await station.start(server);
  await writeRows(server, "before", 10);
  await caughtUp(server);
  outage.down = true;
  await writeRows(server, "during", 3000);
  await caughtUp(server);
  await eventually("the vault refuses", async () => outage.refusals > 0);
  assert.ok(receiver.report().segmentsWaiting >= 3);
  assert.deepEqual(
    receiver.report().alarms.map(({ kind }) => kind),
    ["vault-failing"],
  );
  outage.down = false;
  await eventually("the vault has all complete segments", async () => receiver.report().segmentsWaiting === 0);
  assert.deepEqual(receiver.report().alarms, []);
  await assertSameAsServer(server, station);

  // And what a disk has spoilt of it meanwhile is told, by the next receiver too.
  outage.down = true;
  await writeRows(server, "spoilt", 3000);
  await caughtUp(server);
  const names = await readdir(station.spoolFolder, { recursive: true });
  const waiting = names.filter((name) => /\/[0-9A-F]{24}$/.test(name)).sort()[1];
  const spoilt = await systemFiles.open(path.join(station.spoolFolder, waiting ?? ""), "update");
  await spoilt.write(Buffer.alloc(512), MIB / 2);
  await spoilt.close();
  outage.down = false;
  const tells = (of: typeof receiver): boolean => of.report().alarms.some(({ kind }) => kind === "unreadable");
  await eventually("it is told", async () => tells(receiver));
  await receiver.stop();
  const next = await station.start(server);
  await eventually("it is told again", async () => tells(next));
});

test("a spool that may hold no more stops confirming, loudly, and goes on when the vault takes segments again", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  const outage = new Outage();
  await using station = await openStation(await createTestVault(outage.store));
  const receiver = await station.start(server, { spoolBytesMax: 2 * MIB });
  await writeRows(server, "before", 10);
  await caughtUp(server);
  outage.down = true;
  await writeRows(server, "during", 6000);
  await eventually("it waits for space", async () => receiver.report().mode === "waiting-for-space");
  assert.equal(receiver.report().lastError?.code, "wal.spool-full");
  assert.ok((await confirmed(server)) < parseLsn(await server.value("SELECT pg_current_wal_flush_lsn()")));
  outage.down = false;
  await caughtUp(server);
  await assertSameAsServer(server, station);
});

test("a receiver that starts while the vault is down goes on from what its spool holds", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  const outage = new Outage();
  await using station = await openStation(await createTestVault(outage.store));
  const first = await station.start(server);
  await writeRows(server, "before", 10);
  await caughtUp(server);
  await first.stop();
  outage.down = true;
  await station.start(server);
  await writeRows(server, "during", 2000);
  await caughtUp(server);
  outage.down = false;
  await assertSameAsServer(server, station);
});

test("a vault that holds other bytes under the name of a segment ends the receiver, which keeps its own", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  await using station = await openStation();
  const first = await station.start(server);
  await writeRows(server, "before", 10);
  await caughtUp(server);
  const lsn = parseLsn(await server.value("SELECT pg_current_wal_flush_lsn()"));
  const segment = segmentName({ timeline: 1 as Timeline, lsn, walSegmentBytes: MIB });
  const systemId = first.report().systemId as SystemId;
  await putSegment(station.vault, { systemId, segment, bytes: Buffer.alloc(MIB, 1) }, {});
  await writeRows(server, "after", 2000);
  await assert.rejects(first.ended, (error) => isLifeboatError(error, "wal.segment-conflict"));
  assert.equal(first.report().mode, "failed");
  assert.equal(first.report().lastError?.code, "wal.segment-conflict");
  await first.stop();
});
