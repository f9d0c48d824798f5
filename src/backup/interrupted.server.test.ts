import assert from "node:assert/strict";
import { test } from "node:test";
import { takeTestBackup } from "../../test/support/backups.ts";
import { startServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { checkVault } from "../vault/check.ts";
import type { Vault } from "../vault/vault.ts";

async function assertNothing(vault: Vault): Promise<void> {
  const report = await checkVault(vault, { readData: true, onProgress: () => undefined });
  assert.deepEqual([report.backups, report.findings, report.unfinished, report.unreferencedPacks], [[], [], [], []]);
}

test("a backup that is stopped, or whose server is killed, in the middle leaves nothing, and the next one works", async () => {
  await using server = await startServer();
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
