import assert from "node:assert/strict";
import { test } from "node:test";
import { takeTestBackup } from "../../test/support/backups.ts";
import { type CuttingProxy, openCuttingProxy } from "../../test/support/cutting-proxy.ts";
import { repetitions } from "../../test/support/effort.ts";
import { dropTemplates, SUPERUSER, startServer, type TestServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { openReplication } from "../postgres/replication-connection.ts";
import { checkVault } from "../vault/check.ts";
import type { Vault } from "../vault/vault.ts";

/** Login and questions; a delta asks the same. */
const FIRST_MESSAGES = 30;
const LAST_MESSAGES = 6;
/** Of the messages with the bytes of files, which are alike, so many are cut. */
const BETWEEN = repetitions(3);

async function backUp(server: TestServer, proxy: CuttingProxy, vault: Vault, full: boolean) {
  const address = { ...proxy.address, user: SUPERUSER.name, password: SUPERUSER.password };
  const connection = await openReplication({ ...address, applicationName: "test", connectTimeoutMs: 10_000 }, {});
  try {
    return await takeTestBackup(server, vault, { tools: { connection }, request: { full } });
  } finally {
    await connection.close();
  }
}

async function wholeBackups(vault: Vault, readData = false): Promise<number> {
  const report = await checkVault(vault, { readData, onProgress: () => undefined });
  assert.deepEqual([report.findings, report.unfinished, report.unreferencedPacks], [[], [], []]);
  for (const backup of report.backups) assert.deepEqual(backup.findings, []);
  return report.backups.length;
}

/** The messages to cut of a backup of so many. */
function cutsOf(count: number, full: boolean): readonly number[] {
  const lastFrom = count - LAST_MESSAGES;
  const stride = Math.max(1, Math.floor((lastFrom - FIRST_MESSAGES) / BETWEEN));
  return Array.from({ length: count }, (_, index) => index + 1).filter(
    (at) => (at <= FIRST_MESSAGES && full) || at > lastFrom || (at > FIRST_MESSAGES && at % stride === 0),
  );
}

test("a backup whose connection breaks off at one message after the other leaves what was there, and the next one works", async () => {
  await using server = await startServer({ walSegmentBytes: 1024 * 1024 });
  await dropTemplates(server);
  await server.query("CREATE TABLE t AS SELECT i FROM generate_series(1, 1000) i");
  await using proxy = await openCuttingProxy(server);
  for (const full of [true, false]) {
    const vault = await createTestVault();
    if (!full) await backUp(server, proxy, vault, true);
    const before = await wholeBackups(vault);
    proxy.arm(0);
    const probe = await createTestVault();
    if (!full) await backUp(server, proxy, probe, true);
    proxy.arm(0);
    const { parent } = await backUp(server, proxy, probe, full);
    assert.equal(parent === null, full);
    // Its goodbye has no answer: the last message is that the server is ready again.
    const count = proxy.messages;
    let done = false;
    for (const at of cutsOf(count, full)) {
      proxy.arm(at);
      const error: unknown = await backUp(server, proxy, vault, full).then(
        () => undefined,
        (failure: unknown) => failure,
      );
      // A server has a message less now and then, as when its manifest names positions of fewer digits.
      done = !proxy.fired && error === undefined && at > count - 2;
      if (done) break;
      assert.ok(proxy.fired, `message ${at} of ${count} came, of ${proxy.messages} now`);
      assert.ok(isLifeboatError(error), `message ${at}: ${String(error)}`);
      assert.match(error.code, /^postgres\.(unreachable|connection-lost)$/, `message ${at}`);
      assert.match(error.remedy, /^[A-Z].+\.$/);
      assert.equal(await wholeBackups(vault), before, `message ${at}`);
    }
    proxy.arm(0);
    if (!done) await backUp(server, proxy, vault, full);
    assert.equal(await wholeBackups(vault, true), before + 1);
  }
});
