import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { giveTo, MAJORS, serverUser, startServer, type TestServer } from "../../test/support/servers.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { BackupTablespace, BaseBackupOptions, BaseBackupSink, ReplicationConnection } from "./replication.ts";
import { openReplication } from "./replication-connection.ts";

const REQUEST: BaseBackupOptions = {
  label: 'o\'brien "quoted" \\ label',
  checkpoint: "fast",
  waitForArchive: false,
  manifestChecksums: "sha256",
};

/** Holds a copy of every chunk until the end, and hashes each as it arrives. */
class HoldingSink implements BaseBackupSink {
  readonly archives: { readonly name: string; readonly chunks: Buffer[] }[] = [];
  readonly arrived = createHash("sha256");
  tablespaces: readonly BackupTablespace[] = [];
  totalBytes = 0;
  manifestText: string | undefined;

  begin(facts: Parameters<BaseBackupSink["begin"]>[0]): void {
    this.tablespaces = facts.tablespaces;
    this.totalBytes = facts.totalBytes;
  }

  archive(facts: Parameters<BaseBackupSink["archive"]>[0]): void {
    this.archives.push({ name: facts.name, chunks: [] });
  }

  data(view: Buffer): void | Promise<void> {
    this.arrived.update(view);
    this.archives.at(-1)?.chunks.push(Buffer.from(view));
  }

  manifest(json: Buffer): void {
    this.manifestText = json.toString("utf8");
  }

  /** The hash of what is held now. */
  held(): string {
    const hash = createHash("sha256");
    for (const archive of this.archives) for (const chunk of archive.chunks) hash.update(chunk);
    return hash.digest("hex");
  }

  bytes(name: string): Buffer {
    return Buffer.concat(this.archives.find((archive) => archive.name === name)?.chunks ?? []);
  }
}

/** Lets the loop turn once a chunk, so that promises and pauses are on the path; what it holds it reads only after that. */
class SlowSink extends HoldingSink {
  override async data(view: Buffer): Promise<void> {
    this.arrived.update(view);
    await new Promise((resolve) => setImmediate(resolve));
    this.archives.at(-1)?.chunks.push(Buffer.from(view));
  }
}

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: chunks of a base backup keep their bytes, and the tar boots with the same rows`, async (t) => {
    await using server = await startServer({ major, name: "source" });
    await server.query("CREATE TABLE proof AS SELECT i, md5(i::text) AS word FROM generate_series(1, 50000) i");
    const connection = await open(t, server);

    const quick = new HoldingSink();
    await connection.baseBackup(REQUEST, quick, {});
    assert.equal(quick.held(), quick.arrived.digest("hex"));

    const slow = new SlowSink();
    const end = await connection.baseBackup({ ...REQUEST, manifestChecksums: "crc32c" }, slow, {});
    assert.equal(slow.held(), slow.arrived.digest("hex"));

    assert.equal(end.timeline, 1);
    assert.deepEqual(
      slow.archives.map((archive) => archive.name),
      ["base.tar"],
    );
    const size = slow.bytes("base.tar").byteLength;
    assert.ok(slow.totalBytes > size / 2 && slow.totalBytes < size * 2, `${slow.totalBytes} estimated, ${size} sent`);
    assert.equal(JSON.parse(slow.manifestText ?? "")["PostgreSQL-Backup-Manifest-Version"], major >= 17 ? 2 : 1);
    assert.match(quick.manifestText ?? "", /SHA256/);
    // The session serves other commands after a backup.
    assert.equal((await connection.identifySystem({})).timeline, 1);

    const dataFolder = path.join(server.folder, "restored");
    await unpack(slow, server, dataFolder);
    const settings = { restore_command: "false" };
    await using copy = await startServer({ major, name: "restored", dataFolder, settings, until: "recovered" });
    const rows = "SELECT count(*)::int AS rows, md5(string_agg(word, '' ORDER BY i)) AS words FROM proof";
    assert.deepEqual(await copy.query(rows), await server.query(rows));
  });

  test(`PostgreSQL ${major}: each tablespace is an archive; a damaged page fails the backup after its end position`, async (t) => {
    await using server = await startServer({ major, name: "spaces" });
    const folders = ["space one", "space-two"].map((name) => path.join(server.folder, name));
    for (const [index, folder] of folders.entries()) {
      mkdirSync(folder);
      await giveTo(await serverUser(), folder);
      await server.query(`CREATE TABLESPACE space${index} LOCATION '${folder}'`);
      await server.query(
        `CREATE TABLE t${index} TABLESPACE space${index} AS SELECT * FROM generate_series(1, 10000) i`,
      );
    }
    const connection = await open(t, server);
    const sink = new HoldingSink();
    await connection.baseBackup(REQUEST, sink, {});
    assertTablespaces(sink, { major, folders });
    await connection.close();

    const file = await damageBlock(server, { table: "t0", block: 3 });
    const second = await open(t, server);
    const failing = new HoldingSink();
    await assert.rejects(second.baseBackup(REQUEST, failing, {}), (error) => {
      assert.ok(isLifeboatError(error, "backup.checksum-failed"), String(error));
      assert.equal(error.details["sqlstate"], "XX001");
      assert.match(String(error.details["warnings"]), new RegExp(`${file}.*block 3`));
      return true;
    });
    // All of it had been sent when the server said no: nothing but the last message tells.
    assert.ok(failing.manifestText !== undefined);
    assert.equal((await second.identifySystem({})).timeline, 1);
  });
}

test("a server killed in mid-backup loses the connection, and the backup fails", async (t) => {
  await using server = await startServer({ major: 16, name: "cut" });
  await server.query("CREATE TABLE bulk AS SELECT i, repeat('x', 500) AS pad FROM generate_series(1, 100000) i");
  const connection = await open(t, server);
  const sink = new (class extends HoldingSink {
    override async data(view: Buffer): Promise<void> {
      await super.data(view);
      if (this.archives.at(-1)?.chunks.length === 5) await server.server.kill();
    }
  })();
  await assert.rejects(connection.baseBackup(REQUEST, sink, {}), (error) => {
    assert.ok(isLifeboatError(error, "postgres.connection-lost"), String(error));
    return error.retryable;
  });
  assert.equal(sink.manifestText, undefined);
  await assert.rejects(connection.identifySystem({}), (error) => isLifeboatError(error, "postgres.connection-lost"));
});

test("an abort in mid-backup ends the backup and its walsender at once", async (t) => {
  await using server = await startServer({ major: 16, name: "cut" });
  await server.query("CREATE TABLE bulk AS SELECT i, repeat('x', 500) AS pad FROM generate_series(1, 100000) i");
  const connection = await open(t, server);
  const stop = new AbortController();
  const sink = new (class extends HoldingSink {
    override data(view: Buffer): void {
      void super.data(view);
      if (this.archives.at(-1)?.chunks.length === 5) stop.abort();
    }
  })();
  await assert.rejects(connection.baseBackup(REQUEST, sink, { signal: stop.signal }), (error) => {
    assert.ok(isLifeboatError(error, "platform.aborted"), String(error));
    assert.match(error.message, /base backup/);
    return true;
  });
  assert.equal(sink.manifestText, undefined);
  await untilGone(server, connection.backendPid);
});

test("a sink that fails ends the backup with its own error, and drops the connection", async (t) => {
  await using server = await startServer({ major: 16, name: "cut" });
  const connection = await open(t, server);
  const sink = new (class extends HoldingSink {
    override async data(): Promise<void> {
      throw new Error("the sink is full");
    }
  })();
  await assert.rejects(connection.baseBackup(REQUEST, sink, {}), /the sink is full/);
  await untilGone(server, connection.backendPid);
});

test("a sink that does not settle holds the server back, and memory stays bounded", async (t) => {
  await using server = await startServer({ major: 16, name: "cut" });
  await server.query("CREATE TABLE bulk AS SELECT i, repeat('x', 1000) AS pad FROM generate_series(1, 60000) i");
  const connection = await open(t, server);
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let first = true;
  const sink = new (class extends HoldingSink {
    override async data(view: Buffer): Promise<void> {
      await super.data(view);
      if (first) {
        first = false;
        await held;
      }
    }
  })();
  const backup = connection.baseBackup(REQUEST, sink, {});
  const streamed = await streamedAtStandstill(server);
  assert.ok(streamed > 0 && streamed < 40 * 1024 * 1024, `${streamed} bytes were sent to a sink that took one chunk`);
  assert.equal(sink.archives[0]?.chunks.length, 1);
  release();
  await backup;
  assert.equal(sink.held(), sink.arrived.digest("hex"));
});

async function open(t: TestContext, server: TestServer): Promise<ReplicationConnection> {
  const connection = await openReplication(server.server.address(), {});
  t.after(() => connection.close());
  return connection;
}

async function untilGone(server: TestServer, pid: number): Promise<void> {
  await until(server, `pid = ${pid}`, 0);
}

/** Looks again and again until as many sessions fit the condition. */
async function until(server: TestServer, condition: string, sessions: number): Promise<void> {
  const deadline = performance.now() + 20_000;
  const sql = `SELECT count(*)::int AS sessions FROM pg_stat_activity WHERE ${condition}`;
  for (;;) {
    const [row] = await server.query(sql);
    if (row?.["sessions"] === sessions) return;
    assert.ok(performance.now() < deadline, `${sessions} sessions with ${condition}`);
  }
}

/** What the server has sent of a running base backup, once that no longer grows. */
async function streamedAtStandstill(server: TestServer): Promise<number> {
  let last = -1;
  for (let same = 0; same < 20; ) {
    const now = Number(
      await server.value("SELECT COALESCE(max(backup_streamed), -1) FROM pg_stat_progress_basebackup"),
    );
    assert.ok(now >= last, "the server has sent all of the backup");
    same = now === last && now >= 0 ? same + 1 : 0;
    last = now;
  }
  return last;
}

/** Lays the tar and the server's WAL into a folder, ready for recovery. */
async function unpack(sink: HoldingSink, source: TestServer, folder: string): Promise<void> {
  mkdirSync(folder);
  execFileSync("tar", ["-x", "-C", folder], { input: sink.bytes("base.tar") });
  await source.query("SELECT pg_switch_wal()");
  const label = readFileSync(path.join(folder, "backup_label"), "utf8");
  assert.ok(label.includes(`LABEL: ${REQUEST.label}`));
  const wal = path.join(source.dataFolder, "pg_wal");
  for (const name of readdirSync(wal)) {
    if (/^[0-9A-F]{24}$/.test(name)) copyFileSync(path.join(wal, name), path.join(folder, "pg_wal", name));
  }
  writeFileSync(path.join(folder, "recovery.signal"), "");
}

function assertTablespaces(
  sink: HoldingSink,
  expected: { readonly major: number; readonly folders: readonly string[] },
): void {
  assert.deepEqual(sink.tablespaces.map((space) => space.location).sort(), [...expected.folders].sort());
  assert.ok(sink.tablespaces.every((space) => space.sizeBytes > 10000 * 4));
  assert.deepEqual(
    sink.archives.map((archive) => archive.name),
    [...sink.tablespaces.map((space) => `${space.oid}.tar`), "base.tar"],
  );
  const map = execFileSync("tar", ["-xO", "tablespace_map"], { input: sink.bytes("base.tar") }).toString();
  for (const space of sink.tablespaces) {
    const listing = execFileSync("tar", ["-t"], { input: sink.bytes(`${space.oid}.tar`) }).toString();
    assert.match(listing, new RegExp(`^PG_${expected.major}_[0-9]+/`, "m"));
    assert.ok(map.includes(`${space.oid} ${space.location}`));
  }
}

/** Writes garbage into a block of a table while the server is down; returns the file's name. */
async function damageBlock(
  server: TestServer,
  at: { readonly table: string; readonly block: number },
): Promise<string> {
  const file = await server.value(`SELECT pg_relation_filepath('${at.table}')`);
  await server.stop();
  const handle = openSync(path.join(server.dataFolder, file), "r+");
  writeSync(handle, Buffer.alloc(64, 0xee), 0, 64, at.block * 8192 + 4000);
  closeSync(handle);
  await server.start();
  return path.basename(file);
}
