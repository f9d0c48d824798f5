import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import type { BackupOrder } from "../../test/support/backup-process.ts";
import { takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { repetitions, testSeed } from "../../test/support/effort.ts";
import { startServer, type TestServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import { listBackups } from "../vault/backups.ts";
import { checkVault } from "../vault/check.ts";
import type { Vault } from "../vault/vault.ts";

async function assertNothing(vault: Vault): Promise<void> {
  const report = await checkVault(vault, { readData: true, onProgress: () => undefined });
  assert.deepEqual([report.backups, report.findings, report.unfinished, report.unreferencedPacks], [[], [], [], []]);
}

test("a backup that is stopped, or whose server is killed, in the middle leaves nothing, and the next one works", async () => {
  await using server = await startServer({ major: 18 });
  const vault = await createTestVault();
  const controller = new AbortController();
  const interruptions = [
    { code: "platform.aborted", inTheMiddle: async () => controller.abort() },
    { code: "postgres.connection-lost", inTheMiddle: () => server.server.kill() },
  ] as const;
  for (const { code, inTheMiddle } of interruptions) {
    const changes = code === "platform.aborted" ? { signal: controller.signal } : {};
    const hold = { atBytes: 0, meanwhile: inTheMiddle };
    await assert.rejects(takeTestBackup(server, vault, { ...changes, hold }), (error) => isLifeboatError(error, code));
    await assertNothing(vault);
  }
  await server.start();
  await takeTestBackup(server, vault);
  const report = await checkVault(vault, { readData: true, onProgress: () => undefined });
  assert.deepEqual(
    report.backups.map(({ whole }) => whole),
    [true],
  );
});

describe("a backup process that is killed", () => {
  test("at any effect on the vault: no trace among the backups, and the next one works", async () => {
    await withFolder(async (folder) => {
      await using server = await startServer({ major: 17, walSegmentBytes: 1024 * 1024 });
      const vaultFolder = path.join(folder, "vault");
      const store = await openDiskStore({ folder: vaultFolder, files: systemFiles, random: systemRandom });
      const vault = await createTestVault(store);
      // About as many effects as a backup has; a process that is not met in time has simply taken one.
      let kills = 0;
      for (const at of moments(repetitions(4), 24)) {
        const completed = await runAndKill(server, vaultFolder, at);
        if (!completed) kills += 1;
        const before = await listBackups(vault, {}, {});
        assert.ok(completed || before.unfinished.length <= 1, `killed at effect ${at}`);
        const report = await checkVault(vault, { readData: true, onProgress: () => undefined });
        assert.deepEqual(report.findings, []);
        for (const backup of report.backups) assert.deepEqual(backup.findings, [], `killed at effect ${at}`);
        for (const left of before.unfinished) await store.delete(startedName(left));
      }
      assert.ok(kills > 0, "some backup was killed");
      const backup = await takeTestBackup(server, vault);
      const { backups } = await listBackups(vault, {}, {});
      assert.equal(backups.at(-1)?.backupId, backup.backupId);
    });
  });
});

function startedName(left: { readonly systemId: string; readonly backupId: string }): string {
  return `backups/${left.systemId}/${left.backupId}/started`;
}

/** Effects to kill at, the same for the same seed. */
function moments(count: number, effectsMax: number): readonly number[] {
  let state = testSeed();
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return 1 + ((state >>> 8) % effectsMax);
  });
}

/** True when the backup was over before the kill came. */
async function runAndKill(server: TestServer, vaultFolder: string, at: number): Promise<boolean> {
  const order: BackupOrder = { setup: server.server.setup, folder: server.folder, vaultFolder };
  const entry = path.resolve(import.meta.dirname, "../../test/support/backup-process.ts");
  const child = spawn(process.execPath, [entry, JSON.stringify(order)], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  for await (const line of createInterface({ input: child.stdout })) {
    if (Number(line) === at) child.kill("SIGKILL");
  }
  const [status, signal] = await ended;
  assert.ok(status === 0 || signal === "SIGKILL", `ended with ${status} ${signal}`);
  return status === 0;
}
