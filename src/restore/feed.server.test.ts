import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { contentOf, restoreTools, storeServerWal, takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { newest } from "../../test/support/majors.ts";
import { eventually } from "../../test/support/receivers.ts";
import { giveTo, PORTS, serverUser, startServer, type TestServer } from "../../test/support/servers.ts";
import { unsyncedFiles } from "../../test/support/unsynced-files.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { type Files, systemFiles } from "../platform/files.ts";
import { findFreePort } from "../platform/free-port.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import { CONTROL_FILE_PATH, parseControlFile } from "../postgres/control-file.ts";
import { lsnAdd } from "../postgres/lsn.ts";
import { LocalServer } from "../postgres/server.ts";
import type { BackupRecord } from "../vault/backups.ts";
import type { Vault } from "../vault/vault.ts";
import { bootRestored } from "./boot.ts";
import { plannedReach } from "./plan.ts";
import { FEED_SPOOL, RECOVERY_FOLDER } from "./recovery-files.ts";
import { type PricedPlan, prepareRestore, runRestore } from "./restore.ts";
import type { RestoreWal } from "./restore-wal.ts";
import { FEED_WINDOW, feedWal, readFeed } from "./wal-feeder.ts";

const MIB = 1024 * 1024;

/** A backup and WAL over a dozen segments behind it, all in a vault; only the first two are laid. */
type Story = {
  readonly server: TestServer;
  readonly vault: Vault;
  readonly backup: BackupRecord;
  readonly content: ReadonlyMap<string, string>;
};

async function tell(server: TestServer): Promise<Story> {
  const vault = await createTestVault();
  await server.query("CREATE TABLE t (id int, filler text)");
  const backup = await takeTestBackup(server, vault);
  for (let round = 1; round <= 12; round += 1) {
    await server.query(`INSERT INTO t SELECT ${round}, repeat(md5(g::text), 20) FROM generate_series(1, 600) g`);
    await server.query("CHECKPOINT");
    await server.query("SELECT pg_switch_wal()");
    await storeServerWal(server, vault);
  }
  return { server, vault, backup, content: await contentOf(server) };
}

const LAID_SEGMENTS = 2;

async function restored(story: Story, dataFolder: string): Promise<PricedPlan> {
  const tools = { ...restoreTools(story.vault, story.backup), files: unsyncedFiles };
  const request = { systemId: story.backup.systemId, target: { kind: "latest" }, acceptGap: false } as const;
  const plan = await prepareRestore(tools, { ...request, walLaidBytesMax: LAID_SEGMENTS * MIB }, {});
  assert.ok(plan.fed.length > FEED_WINDOW, `only ${plan.fed.length} segments are fed`);
  assert.equal(plan.segments.length - plan.fed.length, LAID_SEGMENTS);
  const tablespaces = { byOid: new Map<number, string>(), under: undefined };
  await runRestore(tools, plan, { folder: dataFolder, tablespaces, owner: await serverUser() }, {});
  return plan;
}

async function serverOn(story: Story, dataFolder: string): Promise<LocalServer> {
  const { setup } = story.server.server;
  const port = await findFreePort(systemRandom);
  return new LocalServer(PORTS, { ...setup, dataFolder, port, logFile: path.join(dataFolder, "log") });
}

function contentIn(local: LocalServer): Promise<ReadonlyMap<string, string>> {
  const onOneSession: TestServer["onOneSession"] = async (logIn, work) => {
    const session = await local.connect({ namesOf: "database", ...logIn }, {});
    try {
      return await work((sql, parameters = []) => session.query(sql, parameters, { timeoutMs: 10_000 }));
    } finally {
      await session.close();
    }
  };
  return contentOf({ onOneSession });
}

/** The machine's files, telling the most segments that ever lay in the spool at once. */
function countingFiles(dataFolder: string): { readonly files: Files; readonly most: () => number } {
  const spool = path.join(dataFolder, FEED_SPOOL);
  let most = 0;
  const rename: Files["rename"] = async (from, to) => {
    await systemFiles.rename(from, to);
    if (path.dirname(to) !== spool) return;
    const names = await systemFiles.list(spool);
    most = Math.max(most, names.filter(({ name }) => /^[0-9A-F]{24}$/.test(name)).length);
  };
  return { files: { ...systemFiles, rename }, most: () => most };
}

/** WAL that waits at one segment until it is let go, or answers for it by `answer`. */
function gated(wal: RestoreWal, segment: string, answer?: () => Promise<Buffer | undefined>) {
  let letGo: () => void = () => undefined;
  let asked: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const reached = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const gatedWal: RestoreWal = {
    holdings: (options) => wal.holdings(options),
    history: (timeline, options) => wal.history(timeline, options),
    segment: async (name, options) => {
      if (name !== segment) return wal.segment(name, options);
      asked();
      if (answer !== undefined) return answer();
      await gate;
      return wal.segment(name, options);
    },
  };
  return { wal: gatedWal, letGo, reached };
}

function bootTools(
  story: Story,
  server: LocalServer,
  changes: { readonly wal?: RestoreWal; readonly files?: Files } = {},
) {
  const { wal } = restoreTools(story.vault, story.backup);
  return { ...PORTS, server, wal, locks: systemLocks, ...changes };
}

const BOOT = { timeoutMs: 60_000 };

async function assertWhole(story: Story, local: LocalServer, dataFolder: string): Promise<void> {
  assert.deepEqual(await contentIn(local), story.content);
  // A later start depends on nothing that the restore left.
  await local.stop({ mode: "fast", timeoutMs: 30_000 });
  const settings = (await systemFiles.readFile(path.join(dataFolder, "postgresql.auto.conf"))).toString();
  assert.doesNotMatch(settings, /restore_command|recovery_target|hot_standby/);
  await systemFiles.removeTree(path.join(dataFolder, RECOVERY_FOLDER));
  await local.start({ until: "recovered", timeoutMs: 30_000 });
  assert.deepEqual(await contentIn(local), story.content);
}

async function inFolder(body: (dataFolder: string) => Promise<void>): Promise<void> {
  await withFolder((folder) => body(path.join(folder, "restored")));
}

async function assertFed(story: Story): Promise<void> {
  await inFolder(async (dataFolder) => {
    const plan = await restored(story, dataFolder);
    const local = await serverOn(story, dataFolder);
    const counting = countingFiles(dataFolder);
    try {
      const reached = await bootRestored(bootTools(story, local, { files: counting.files }), plan, BOOT);
      assert.equal(reached.timeline, 2);
      // A quick server takes what there is before the window is full.
      assert.ok(counting.most() > 1 && counting.most() <= FEED_WINDOW, `${counting.most()} files`);
      assert.equal(await systemFiles.stat(path.join(dataFolder, FEED_SPOOL)), undefined);
      await assertWhole(story, local, dataFolder);
    } finally {
      await local.kill();
    }
  });
}

async function assertStops(story: Story): Promise<void> {
  await inFolder(async (dataFolder) => {
    const plan = await restored(story, dataFolder);
    const { name = "" } = plan.fed[4] ?? {};
    const local = await serverOn(story, dataFolder);
    const { wal } = bootTools(story, local);
    const failing = async (): Promise<never> => {
      throw new LifeboatError("store.failed", { message: "no answer", remedy: "Look at the store.", retryable: true });
    };
    try {
      for (const answer of [async () => undefined, failing]) {
        const hole = gated(wal, name, answer);
        await assert.rejects(bootRestored(bootTools(story, local, { wal: hole.wal }), plan, BOOT), (error) => {
          assert.ok(isLifeboatError(error, "restore.feed-failed"), String(error));
          assert.ok(isLifeboatError(error.cause, answer === failing ? "store.failed" : "wal.segment-missing"));
          assert.equal(error.retryable, answer === failing);
          assert.match(error.remedy, /lifeboat wal feed --target/);
          return true;
        });
        assert.match(await local.logTail(), new RegExp(`lifeboat: ${name}: .+`));
        const control = parseControlFile(await systemFiles.readFile(path.join(dataFolder, CONTROL_FILE_PATH)));
        assert.equal(control.state, "in archive recovery");
      }
      await bootRestored(bootTools(story, local), plan, BOOT);
      await assertWhole(story, local, dataFolder);
    } finally {
      await local.kill();
    }
  });
}

async function assertGoesOn(story: Story): Promise<void> {
  await inFolder(async (dataFolder) => {
    const plan = await restored(story, dataFolder);
    const unstarted = await readFeed(systemFiles, dataFolder);
    assert.equal(unstarted.segments.length, plan.fed.length, "before its first start recovery has not ended");
    const { name = "" } = plan.fed[6] ?? {};
    const local = await serverOn(story, dataFolder);
    const gate = gated(bootTools(story, local).wal, name);
    const first = bootRestored(bootTools(story, local, { wal: gate.wal }), plan, BOOT);
    const failed = assert.rejects(first, (error) => isLifeboatError(error, "restore.feed-failed"));
    try {
      const want = path.join(dataFolder, FEED_SPOOL, "want");
      await eventually("the server waits for the segment", async () => {
        const text =
          (await systemFiles.stat(want)) === undefined ? "" : await systemFiles.readFile(want).catch(() => "");
        return text.toString() === `${name}\n`;
      });
      await local.kill();
      gate.letGo();
      await failed;
      await giveTo(await serverUser(), dataFolder);
      const feed = await readFeed(systemFiles, dataFolder);
      assert.deepEqual(
        feed.segments,
        plan.fed.map((segment) => segment.name),
      );
      const reach = plannedReach(plan);
      assert.deepEqual([feed.replays?.({ lsn: lsnAdd(reach, -1) }), feed.replays?.({ lsn: reach })], [true, false]);
      const ending = new AbortController();
      const feeding = feedWal(bootTools(story, local), feed, { signal: ending.signal });
      const ended = assert.rejects(feeding, (error) => isLifeboatError(error, "platform.aborted"));
      await local.start({ until: "recovered", timeoutMs: 60_000 });
      const busy = feedWal(bootTools(story, local), feed, { signal: ending.signal });
      await assert.rejects(busy, (error) => isLifeboatError(error, "restore.feed-busy"));
      ending.abort();
      await ended;
      await assert.rejects(readFeed(systemFiles, dataFolder), (error) =>
        isLifeboatError(error, "restore.nothing-to-feed"),
      );
      await assertWhole(story, local, dataFolder);
    } finally {
      await local.kill();
    }
  });
}

for (const major of newest([15, 18])) {
  test(`PostgreSQL ${major}: a recovery whose WAL is fed`, async (t) => {
    await using server = await startServer({ major, walSegmentBytes: MIB });
    const story = await tell(server);
    await server.stop();

    await t.test("has the same content, a spool that stays small, and nothing left that a later start needs", () =>
      assertFed(story),
    );
    await t.test(
      "stops at a segment that is gone or cannot be read, names it, and does not promote; mended, it goes on",
      () => assertStops(story),
    );
    await t.test(
      "killed in the middle, goes on where it was, with a feed of its own and a server that anybody starts",
      () => assertGoesOn(story),
    );
  });
}
