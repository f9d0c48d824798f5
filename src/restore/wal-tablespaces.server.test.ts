import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { restoreTools, storeServerWal, takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { proveFully } from "../../test/support/proofs.ts";
import { giveTo, PORTS, serverUser, startServer, type TestServer } from "../../test/support/servers.ts";
import { NO_PROCESSES } from "../../test/support/small-restores.ts";
import { unsyncedFiles } from "../../test/support/unsynced-files.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { findFreePort } from "../platform/free-port.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import { CONTROL_FILE_PATH } from "../postgres/control-file.ts";
import { formatLsn, type Lsn, parseLsn } from "../postgres/lsn.ts";
import { LocalServer } from "../postgres/server.ts";
import type { BackupRecord } from "../vault/backups.ts";
import type { Vault } from "../vault/vault.ts";
import { bootRestored } from "./boot.ts";
import { type PricedPlan, prepareDelta, prepareRestore, runRestore } from "./restore.ts";
import type { RecoveryTarget } from "./target.ts";

/** A backup, and two tablespaces that were created after it: one is gone again with its folder, the other is in use. */
type Story = {
  readonly server: TestServer;
  readonly vault: Vault;
  readonly backup: BackupRecord;
  readonly gone: string;
  readonly live: string;
  /** Before the second was created. */
  readonly between: Lsn;
};

async function tell(server: TestServer, folder: string): Promise<Story> {
  const vault = await createTestVault();
  const [gone, live] = [path.join(folder, "gone"), path.join(folder, "live")];
  for (const each of [gone, live]) {
    await systemFiles.makeFolder(each, 0o700);
    await giveTo(await serverUser(), each);
  }
  const backup = await takeTestBackup(server, vault);
  await server.query(`CREATE TABLESPACE gone LOCATION '${gone}'`);
  await server.query("CREATE TABLE left_behind TABLESPACE gone AS SELECT generate_series(1, 500) AS id");
  await server.query("DROP TABLE left_behind");
  await server.query("DROP TABLESPACE gone");
  await systemFiles.removeTree(gone);
  await server.query("CREATE TABLE kept AS SELECT generate_series(1, 100) AS id");
  const between = parseLsn(await server.value("SELECT pg_current_wal_flush_lsn()"));
  await server.query(`CREATE TABLESPACE live LOCATION '${live}'`);
  await server.query("CREATE TABLE moved TABLESPACE live AS SELECT generate_series(1, 5000) AS id");
  await server.query("SELECT pg_switch_wal()");
  await storeServerWal(server, vault);
  // What the vault does not have: a recovery that came here would take it away.
  await server.query("INSERT INTO moved SELECT generate_series(5001, 7000)");
  await server.query("CHECKPOINT");
  return { server, vault, backup, gone, live, between };
}

async function restoreTo(
  story: Story,
  target: RecoveryTarget,
  how: { readonly folder: string; readonly walLaidBytesMax?: number },
): Promise<PricedPlan> {
  const tools = { ...restoreTools(story.vault, story.backup), files: unsyncedFiles };
  const { walLaidBytesMax } = how;
  const request = { systemId: story.backup.systemId, target, acceptGap: false, walLaidBytesMax };
  const plan = await prepareRestore(tools, request, {});
  const tablespaces = { byOid: new Map<number, string>(), under: undefined };
  await runRestore(tools, plan, { folder: how.folder, tablespaces, owner: await serverUser() }, {});
  return plan;
}

/** Names, sizes and times of all in the folder that the live server uses. */
async function inLive({ live }: Story): Promise<readonly string[]> {
  const found: string[] = [];
  const lookInto = async (folder: string): Promise<void> => {
    for (const { name } of await systemFiles.list(folder)) {
      const at = path.join(folder, name);
      const facts = await systemFiles.stat(at);
      found.push(`${at} ${facts?.sizeBytes} ${facts?.modifiedMs}`);
      if (facts?.kind === "folder") await lookInto(at);
    }
  };
  await lookInto(live);
  return found;
}

async function bootTools(story: Story, dataFolder: string) {
  const { setup } = story.server.server;
  const port = await findFreePort(systemRandom);
  const server = new LocalServer(PORTS, { ...setup, dataFolder, port, logFile: path.join(dataFolder, "log") });
  return { ...PORTS, server, locks: systemLocks, wal: restoreTools(story.vault, story.backup).wal };
}

async function refusesDelta(story: Story, target: string): Promise<void> {
  await systemFiles.symlink(story.live, path.join(target, "pg_tblspc/99999"));
  const tools = restoreTools(story.vault, story.backup);
  const request = { systemId: story.backup.systemId, target: { kind: "latest" }, acceptGap: false } as const;
  const plan = await prepareRestore(tools, request, {});
  const tablespaces = { byOid: new Map<number, string>(), under: undefined };
  const delta = { ...tools, processes: NO_PROCESSES, onCompared: () => assert.fail("it is compared") };
  await assert.rejects(prepareDelta(delta, plan, { folder: target, tablespaces, owner: undefined }, {}), (error) =>
    isLifeboatError(error, "restore.tablespace-in-wal"),
  );
}

const BOOT = { timeoutMs: 60_000 };

test("a tablespace that the WAL creates in a folder of the live server", async (t) => {
  await withFolder(async (folder) => {
    await using server = await startServer();
    const story = await tell(server, folder);
    const before = await inLive(story);

    await t.test("a restore over it is refused, and the folder can not be started", async () => {
      const target = path.join(folder, "refused");
      await assert.rejects(restoreTo(story, { kind: "latest" }, { folder: target }), (error) => {
        assert.ok(isLifeboatError(error, "restore.tablespace-in-wal"), String(error));
        assert.ok(error.message.includes(story.live) && error.remedy.includes(String(error.details["lsn"])));
        return true;
      });
      assert.equal(await systemFiles.stat(path.join(target, CONTROL_FILE_PATH)), undefined);
    });

    await t.test("a restore to before it recovers, with the folder that the WAL needs and is not there", async () => {
      await systemFiles.removeTree(story.gone);
      const target = path.join(folder, "earlier");
      const plan = await restoreTo(story, { kind: "lsn", lsn: story.between, inclusive: false }, { folder: target });
      const tools = await bootTools(story, target);
      try {
        await bootRestored(tools, plan, BOOT);
      } finally {
        await tools.server.stop({ mode: "immediate", ...BOOT });
      }
      assert.equal((await systemFiles.stat(story.gone))?.kind, "folder");
    });

    await t.test(
      "a delta restore over a directory that leads there is refused before anything is looked at",
      async () => {
        const target = path.join(folder, "earlier");
        await refusesDelta(story, target);
      },
    );

    await t.test("WAL that is fed is not fed with it", async () => {
      const target = path.join(folder, "fed");
      const plan = await restoreTo(story, { kind: "latest" }, { folder: target, walLaidBytesMax: 0 });
      assert.ok(plan.fed.length > 0, "nothing is fed");
      const tools = await bootTools(story, target);
      await assert.rejects(bootRestored(tools, plan, BOOT), (error) => {
        assert.ok(isLifeboatError(error, "restore.feed-failed"), String(error));
        assert.match(error.message, /creates tablespace/);
        assert.equal(error.retryable, false);
        return true;
      });
      assert.equal((await tools.server.state()).kind, "stopped");
    });

    await t.test("a proof stops before the first one, makes no folder for it, and passes", async () => {
      await systemFiles.removeTree(story.gone);
      const { vault, backup } = story;
      const proof = await proveFully({ vault, backup, server, folder: path.join(folder, "sandboxes") }, "booted");
      assert.deepEqual([proof.record.reached, proof.record.findings], ["booted", []]);
      assert.equal(proof.stoppedBefore?.location, story.gone);
      assert.equal(proof.record.pointLsn, formatLsn(proof.stoppedBefore?.lsn ?? parseLsn("0/0")));
      assert.equal(await systemFiles.stat(story.gone), undefined);
    });

    assert.deepEqual(await inLive(story), before);
    await server.restart();
    assert.equal(await server.value("SELECT count(*)::text FROM moved"), "7000");
  });
});
