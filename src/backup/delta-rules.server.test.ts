import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";
import { storeServerWal, takeTestBackup } from "../../test/support/backups.ts";
import { changePage, fileOf, PLANTED } from "../../test/support/planted-faults.ts";
import { temporaryFolder } from "../../test/support/receivers.ts";
import { dropTemplates, PORTS, serverUser, startServer, type TestServer } from "../../test/support/servers.ts";
import { assertRestores, contentOfAll } from "../../test/support/soundness.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import type { SystemId } from "../postgres/lsn.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { readManifest } from "../vault/manifest.ts";
import { backupName, packName } from "../vault/names.ts";
import type { Vault } from "../vault/vault.ts";
import { getSegment, listWal } from "../vault/wal-store.ts";
import { parseSegmentSize } from "../wal/segment-size.ts";
import { walBetween } from "../wal/settings-between.ts";
import { readWalked, Walker } from "../wal/walked.ts";

const SMALL = { walSegmentBytes: 1_048_576, settings: { wal_keep_size: "4GB", max_wal_size: "4GB" } };

async function fill(server: TestServer): Promise<void> {
  await server.query("CREATE TABLE t (id int, body text)");
  await server.query("INSERT INTO t SELECT g, repeat(md5(g::text), 6) FROM generate_series(1, 5000) g");
  await server.query("CREATE INDEX t_id ON t (id)");
  await dropTemplates(server);
  await server.query("CHECKPOINT");
}

/** Changes settings that take a restart. */
async function restartWith(server: TestServer, settings: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, value] of Object.entries(settings)) await server.query(`ALTER SYSTEM SET ${name} = '${value}'`);
  await server.restart();
}

describe("settings between two backups", () => {
  test("that let pages change unseen, at the parent, now or in between, make it full and are named (rules A1, A4)", async () => {
    await using server = await startServer({ dataChecksums: false, ...SMALL });
    await fill(server);
    const vault = await createTestVault();
    const why = async (): Promise<string | null> => (await takeTestBackup(server, vault)).whyFull;
    assert.equal(await why(), "no-parent");
    await restartWith(server, { wal_log_hints: "on" });
    assert.equal(await why(), "no-checksums-and-no-hints", "the parent was taken without");
    assert.equal(await why(), null);
    await restartWith(server, { wal_log_hints: "off" });
    await server.query("VACUUM t");
    await restartWith(server, { wal_log_hints: "on" });
    assert.equal(await why(), "settings-changed-between");
    await restartWith(server, { wal_level: "logical" });
    assert.equal(await why(), "wal-level-changed");
    await restartWith(server, { wal_level: "minimal", max_wal_senders: "0" });
    // Written without WAL, in files that the parent may know by name.
    await server.query("CREATE TABLE unlogged_load AS SELECT g AS id FROM generate_series(1, 20000) g");
    await restartWith(server, { wal_level: "logical", max_wal_senders: "10" });
    assert.equal(await why(), "settings-changed-between");
    await server.query("ALTER SYSTEM SET full_page_writes = off");
    await server.query("SELECT pg_reload_conf()");
    assert.equal(await why(), "full-page-writes-off");
    await server.query("ALTER SYSTEM RESET full_page_writes");
    await server.query("SELECT pg_reload_conf()");
    assert.equal(await why(), "full-page-writes-off", "the parent was taken without");
    const backup = await takeTestBackup(server, vault);
    assert.equal(backup.whyFull, null);
    await assertRestores({ server, vault, backup });
    const seen = (await changesWalked(vault, backup.systemId)).map(
      ({ walLevel, walLogHints }) => `${walLevel} ${walLogHints}`,
    );
    const started = ["replica true", "replica false", "replica true", "logical true", "minimal true", "logical true"];
    assert.deepEqual(seen, started, "a receiver notes each of them");
  });

  test("data checksums switched by pg_checksums make it full; off and on again, pages changed meanwhile are not kept (rules A2, A3)", async () => {
    await using server = await startServer({ major: "system", ...SMALL });
    await fill(server);
    const vault = await createTestVault();
    const take = (): Promise<BackupRecord> => takeTestBackup(server, vault);
    assert.equal((await take()).whyFull, "no-parent");
    await switchChecksums(server, "--disable");
    // Sets flags on pages and leaves their LSN.
    await server.query("VACUUM t");
    await switchChecksums(server, "--enable");
    const after = await take();
    assert.equal(after.whyFull, null, "nothing tells that they were off");
    await assertRestores({ server, vault, backup: after });
    await restartWith(server, { wal_log_hints: "on" });
    assert.equal((await take()).whyFull, "settings-changed-between");
    await switchChecksums(server, "--disable");
    assert.equal((await take()).whyFull, "checksums-switched");
    await switchChecksums(server, "--enable");
    assert.equal((await take()).whyFull, "checksums-switched");
    assert.equal((await take()).whyFull, null);
  });
});

/** What a receiver would have noted of the WAL in a vault. */
async function changesWalked(vault: Vault, systemId: SystemId) {
  await using spool = await temporaryFolder("walked");
  const tools = { files: systemFiles, random: systemRandom, clock: systemClock, spoolFolder: spool.folder };
  const walker = new Walker({
    ...tools,
    vaultId: vault.id,
    segment: async () => undefined,
    unreadable: async () => {},
  });
  for (const segment of (await listWal(vault, { systemId }, {})).segments) {
    const bytes = await getSegment(vault, { systemId, segment }, {});
    if (bytes !== undefined) await walker.stored({ systemId, segment, bytes });
  }
  return (await readWalked(systemFiles, spool.folder))?.changes ?? [];
}

async function switchChecksums(server: TestServer, how: "--enable" | "--disable"): Promise<void> {
  await server.stop();
  const done = await PORTS.processes.run({
    command: path.join(server.installation.binFolder, "pg_checksums"),
    args: [how, "--no-sync", "-D", server.dataFolder],
    user: await serverUser(),
    timeoutMs: 30_000,
  });
  assert.deepEqual(done.exit, { kind: "exited", status: 0 }, done.stderr);
  await server.start();
}

describe("a delta", () => {
  test("keeps no page that is other than its LSN says: changed by hand, or a database of the same OID copied anew (rules A2, A4)", async () => {
    await using server = await startServer({ ...SMALL });
    const inside = (database: string, sql: string) => server.query(sql, [], { database });
    await server.query("CREATE DATABASE one");
    await fill(server);
    await inside("one", "CREATE TABLE t AS SELECT g AS id, md5(g::text) AS body FROM generate_series(1, 5000) g");
    await server.query("CREATE DATABASE two TEMPLATE one STRATEGY file_copy");
    await inside("two", "UPDATE t SET body = 'two' WHERE id % 3 = 0");
    await inside("two", "VACUUM (FREEZE) t");
    const copyOf = (template: string): string =>
      `CREATE DATABASE copied OID 40000 TEMPLATE ${template} STRATEGY file_copy`;
    await server.query(copyOf("one"));
    const file = await fileOf(server, "t");
    const vault = await createTestVault();
    await takeTestBackup(server, vault);
    await server.query("DROP DATABASE copied");
    await server.query(copyOf("two"));
    const before = await contentOfAll(server);
    await server.stop();
    changePage(file, 3, PLANTED.rowChanged);
    await server.start();
    const changed = await contentOfAll(server);
    assert.notEqual(changed.get("postgres: public.t"), before.get("postgres: public.t"));
    assert.equal(changed.get("copied: public.t"), changed.get("two: public.t"));
    const backup = await takeTestBackup(server, vault);
    assert.equal(backup.whyFull, null);
    await assertRestores({ server, vault, backup });
  });

  test("is not taken without all WAL since the parent, of a parent that cannot be read or is damaged, or when a full one is asked for", async () => {
    await using server = await startServer({ ...SMALL });
    await fill(server);
    const vault = await createTestVault();
    const first = await takeTestBackup(server, vault);
    await server.query("INSERT INTO t SELECT g FROM generate_series(1, 30000) g");
    // No receiver ran: what is in the vault ends with the first backup.
    const between = walBetween({ vault, files: systemFiles }, parseSegmentSize("1MB"));
    const wal = { begin: async () => undefined, covered: () => storeCurrent(server, vault), between };
    const second = await takeTestBackup(server, vault, { tools: { wal } });
    assert.deepEqual([first.whyFull, second.whyFull], ["no-parent", "wal-missing-between"]);
    const asked = await takeTestBackup(server, vault, { request: { full: true } });
    assert.equal(asked.whyFull, "asked-for");
    const manifest = backupName(asked, "manifest");
    const bytes = await vault.store.get(manifest);
    bytes[bytes.byteLength >> 1] = (bytes[bytes.byteLength >> 1] ?? 0) ^ 1;
    await vault.store.delete(manifest);
    await vault.store.put(manifest, [bytes]);
    const last = await takeTestBackup(server, vault);
    assert.equal(last.whyFull, "parent-unreadable");
    for (const { id, sizeBytes } of (await readManifest(vault, last, {}, {})).chunks.packs) {
      // A byte of every chunk: the first fingerprints that are asked for do not open, and the server is sending by then.
      const pack = await vault.store.get(packName(id));
      for (let at = 64; at < sizeBytes; at += 64) pack[at] = (pack[at] ?? 0) ^ 1;
      await vault.store.delete(packName(id));
      await vault.store.put(packName(id), [pack]);
    }
    const anew = await takeTestBackup(server, vault);
    assert.equal(anew.whyFull, "parent-damaged");
    await assertRestores({ server, vault, backup: anew });
  });
});

async function storeCurrent(server: TestServer, vault: Vault): Promise<void> {
  await server.query("SELECT pg_switch_wal()");
  await storeServerWal(server, vault);
}
