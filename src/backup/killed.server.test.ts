import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import { contentOf, restoreLatest, storeServerWal, withFolder } from "../../test/support/backups.ts";
import { repetitions, testSeed } from "../../test/support/effort.ts";
import type { ReceiverProcessOptions } from "../../test/support/receiver-process.ts";
import { RECEIVER_NAME, serverSegment } from "../../test/support/receivers.ts";
import { dropTemplates, startServer, type TestServer } from "../../test/support/servers.ts";
import type { VaultOrder } from "../../test/support/vault-process.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { Prng } from "../platform/prng.ts";
import { systemRandom } from "../platform/random.ts";
import { type Lsn, lsnAdd, parseLsn, parseSegmentName } from "../postgres/lsn.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import { listBackups } from "../vault/backups.ts";
import { checkVault } from "../vault/check.ts";
import type { Vault } from "../vault/vault.ts";
import { listSpool, readSpoolFile } from "../wal/spool-files.ts";
import { readSpoolState } from "../wal/spool-state.ts";

const MIB = 1024 * 1024;
const TURNS = repetitions(20, 200);
const COMPARED_EVERY = 10;
/** Backups that a prune leaves. */
const BACKUPS_KEPT = 2;
/** As if so much time had passed: what killed backups left is swept. */
const PRUNE_AHEAD_MS = 2 * 24 * 3_600_000;
/** Until one of a kind was seen through. */
const FIRST_GUESS_MS = 300;
const RECEIVING_MS = 400;

type Kind = VaultOrder["kind"] | "receiver";
const KINDS: readonly Kind[] = ["backup", "receiver", "prune", "restore"];

/** A cluster, its vault on disk, and processes that are killed while they work on it. */
class Scene {
  readonly server: TestServer;
  readonly vault: Vault;
  readonly folder: string;
  readonly chance = new Prng(testSeed(), 0);
  readonly #durations = new Map<Kind, number>();

  constructor(parts: { readonly server: TestServer; readonly vault: Vault; readonly folder: string }) {
    this.server = parts.server;
    this.vault = parts.vault;
    this.folder = parts.folder;
  }

  get vaultFolder(): string {
    return path.join(this.folder, "vault");
  }

  get target(): string {
    return path.join(this.folder, "restored");
  }

  get spoolFolder(): string {
    return path.join(this.folder, "spool");
  }

  async order(kind: VaultOrder["kind"]): Promise<VaultOrder> {
    const { vaultFolder, target } = this;
    if (kind === "restore") return { kind, vaultFolder, target };
    const { setup } = this.server.server;
    if (kind === "backup") return { kind, vaultFolder, setup, serverFolder: this.server.folder };
    const { backups } = await listBackups(this.vault, {}, {});
    const named = backups.slice(0, -BACKUPS_KEPT).map(({ backupId }) => backupId);
    return { kind, vaultFolder, named, aheadMs: PRUNE_AHEAD_MS };
  }

  /** Runs one of a kind and kills it at a random moment, which may be too late. */
  async killOne(kind: VaultOrder["kind"]): Promise<void> {
    const child = run("vault-process.ts", await this.order(kind));
    const exit = once(child, "exit");
    const lines = linesOf(child);
    await lines.next();
    const begun = systemClock.monotonic();
    const lastsMs = this.#durations.get(kind) ?? FIRST_GUESS_MS;
    const stop = new AbortController();
    const done = lines.next().then((line) => {
      if (line.value === "done") this.#durations.set(kind, systemClock.monotonic() - begun);
      stop.abort();
    });
    await systemClock.sleep(this.chance.below(Math.ceil(lastsMs)), { signal: stop.signal }).catch(() => undefined);
    child.kill("SIGKILL");
    const [status, signal] = await exit;
    await done;
    assert.ok(status === 0 || signal === "SIGKILL", `${kind} ended with ${status} ${signal}`);
  }

  /** Kills a receiver while rows are written; what it confirmed it holds, as the server has it. */
  async killReceiver(): Promise<void> {
    const { server, spoolFolder } = this;
    const address = { ...server.server.address(), database: undefined, applicationName: RECEIVER_NAME };
    const options: ReceiverProcessOptions = {
      address,
      storeFolder: this.vaultFolder,
      spoolFolder,
      slot: RECEIVER_NAME,
    };
    const child = run("receiver-process.ts", options);
    const exit = once(child, "exit");
    await linesOf(child).next();
    const writing = this.write(2_000);
    await systemClock.sleep(this.chance.below(RECEIVING_MS), {});
    child.kill("SIGKILL");
    await exit;
    await writing;
    const state = await readSpoolState(systemFiles, spoolFolder);
    assert.ok(state !== undefined);
    const files = await listSpool(systemFiles, spoolFolder, state);
    for (const file of files) {
      const [bytes, original] = [await readSpoolFile(systemFiles, file), await serverSegment(server, file.segment)];
      assert.ok(original?.subarray(0, bytes.byteLength).equals(bytes), `${file.segment} is what the server has`);
    }
    const confirmed = parseLsn(
      await server.value("SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = $1", [RECEIVER_NAME]),
    );
    const ends = [...files.map(({ end }) => end), ...(await this.storedEnds())];
    assert.ok(
      ends.some((end) => end >= confirmed),
      "what was confirmed is held",
    );
  }

  /** The ends of the segments that the vault has. */
  async storedEnds(): Promise<readonly Lsn[]> {
    const ends: Lsn[] = [];
    for await (const { key } of this.vault.store.list("wal/")) {
      const at = parseSegmentName(path.basename(key).toUpperCase(), MIB);
      if (at !== undefined) ends.push(lsnAdd(at.start, MIB));
    }
    return ends;
  }

  async write(rows: number): Promise<void> {
    await this.server.query(`INSERT INTO t SELECT i, repeat('x', 200) FROM generate_series(1, ${rows}) i`);
  }

  /** The vault has nothing damaged, and a backup at least. */
  async check(where: string): Promise<void> {
    const report = await checkVault(this.vault, { readData: true, onProgress: () => undefined });
    assert.deepEqual(report.findings, [], where);
    for (const backup of report.backups) assert.deepEqual(backup.findings, [], where);
    assert.ok(report.backups.length > 0, where);
    const isWhole = (await systemFiles.stat(path.join(this.target, "global/pg_control"))) !== undefined;
    // One that was through in time is in the way of the next; else the next clears what it left.
    if (isWhole) await systemFiles.removeTree(this.target);
  }

  /** The newest backup and all WAL since come back as the server is now. */
  async compare(): Promise<void> {
    const { server, vault, target } = this;
    await server.query("SELECT pg_switch_wal()");
    await storeServerWal(server, vault);
    const newest = (await listBackups(vault, {}, {})).backups.at(-1);
    assert.ok(newest !== undefined);
    await restoreLatest(vault, newest, { folder: target });
    await using restored = await startServer({ dataFolder: target, until: "recovered" });
    assert.deepEqual(await contentOf(restored), await contentOf(server));
    await restored.stop("immediate");
    await systemFiles.removeTree(target);
  }
}

function run(program: string, order: object): ChildProcess {
  const main = path.resolve(import.meta.dirname, "../../test/support", program);
  return spawn(process.execPath, [main, JSON.stringify(order)], { stdio: ["ignore", "pipe", "inherit"] });
}

function linesOf(child: ChildProcess): AsyncIterator<string> {
  assert.ok(child.stdout !== null);
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]();
}

async function withScene(body: (scene: Scene) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const settings = { wal_keep_size: "256MB" };
    await using server = await startServer({ walSegmentBytes: MIB, settings });
    await dropTemplates(server);
    await server.query("CREATE TABLE t (i int, text text)");
    const store = await openDiskStore({ folder: path.join(folder, "vault"), files: systemFiles, random: systemRandom });
    await body(new Scene({ server, vault: await createTestVault(store), folder }));
  });
}

async function runThrough(order: VaultOrder): Promise<number | null> {
  const child = run("vault-process.ts", order);
  const [status] = await once(child, "exit");
  return status;
}

test(`${TURNS} kills of backups, receivers, prunes and restores at random moments: the vault is whole, and restores`, async () => {
  await withScene(async (scene) => {
    assert.equal(await runThrough(await scene.order("backup")), 0);
    for (let turn = 1; turn <= TURNS; turn += 1) {
      const kind = KINDS[turn % KINDS.length] ?? "backup";
      await scene.write(50);
      if (kind === "receiver") await scene.killReceiver();
      else await scene.killOne(kind);
      await scene.check(`turn ${turn}, ${kind}`);
      if (turn % COMPARED_EVERY === 0) await scene.compare();
    }
  });
});

describe("two backups and a prune at once, each a process of its own,", () => {
  test("end well: both backups are whole, what was named is gone, and nothing else is", async () => {
    await withScene(async (scene) => {
      for (let count = 0; count < 2; count += 1) assert.equal(await runThrough(await scene.order("backup")), 0);
      const [old] = (await listBackups(scene.vault, {}, {})).backups;
      assert.ok(old !== undefined);
      await scene.write(1_000);
      const prune: VaultOrder = { kind: "prune", vaultFolder: scene.vaultFolder, named: [old.backupId], aheadMs: 0 };
      const backup = await scene.order("backup");
      assert.deepEqual(await Promise.all([backup, prune, backup].map(runThrough)), [0, 0, 0]);
      // What was kept back for the sake of a backup under way goes with the next.
      assert.equal(await runThrough({ ...prune, named: [] }), 0);
      const { backups } = await listBackups(scene.vault, {}, {});
      assert.equal(backups.length, 3);
      assert.ok(backups.every(({ backupId }) => backupId !== old.backupId));
      await scene.check("at once");
      const left: string[] = [];
      for await (const { key } of scene.vault.store.list(`backups/${old.systemId}/${old.backupId}/`)) left.push(key);
      assert.deepEqual(left, []);
      await scene.compare();
    });
  });
});
