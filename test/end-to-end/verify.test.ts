/**
 * `lifeboat verify` against a real server, as a process of its own: a proof, what shows it, damage, and being cut short.
 */
import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { systemProcesses } from "../../src/platform/processes.ts";
import type { ProofRecord } from "../../src/vault/proofs.ts";
import { memoryFolder } from "../../tools/test/memory-folder.ts";
import { CommandLine } from "../support/command-line.ts";
import { SUPERUSER, startServer, type TestServer } from "../support/servers.ts";
import { cheapenPassphrase } from "../support/vaults.ts";

let server: TestServer;
let cli: CommandLine;
let folder = "";
let sandboxes = "";

before(async () => {
  server = await startServer({ major: 17, name: "verify" });
  await server.query("CREATE TABLE orders (id int PRIMARY KEY, what text)");
  await server.query("INSERT INTO orders SELECT g, md5(g::text) FROM generate_series(1, 5000) g");
  folder = await mkdtemp(path.join(memoryFolder(), "lifeboat-verify-"));
  // The sandbox's server is another user's.
  await chmod(folder, 0o755);
  sandboxes = path.join(folder, "sandboxes");
  cli = new CommandLine(path.join(folder, "conf"));
  cli.write("passphrase", "battery staple\n");
  cli.write("password", `${SUPERUSER.password}\n`);
  cli.write(
    "invariants.yaml",
    "- {name: orders are there, database: postgres, isTrue: SELECT count(*) = 5000 FROM orders}\n",
  );
  cli.write(
    "lifeboat.yaml",
    `server:
  host: 127.0.0.1
  port: ${server.server.setup.port}
  user: ${SUPERUSER.name}
  passwordFile: password
vault:
  path: ../vault
  passphraseFile: passphrase
folders:
  spool: ../spool
  state: ../state
  sandbox: ../sandboxes
proof:
  invariantsFile: invariants.yaml
`,
  );
  await cli.expect(0, "vault init");
  await cheapenPassphrase(path.join(folder, "vault"), "battery staple");
  await cli.expect(0, "backup --tier hourly");
});

after(async () => {
  await cli.end();
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

type Backups = {
  readonly backups: readonly { readonly backupId: string; readonly proof: { readonly depth: string } | null }[];
};
type Verified = { readonly proofs: readonly ProofRecord[] };

async function proofs(): Promise<readonly (string | undefined)[]> {
  return ((await cli.json("backups")) as Backups).backups.map(({ proof }) => proof?.depth);
}

async function leftSandboxes(): Promise<readonly string[]> {
  return readdir(sandboxes).catch(() => []);
}

test("before any proof, backups shows none and status complains", async () => {
  assert.deepEqual(await proofs(), [undefined]);
  assert.match((await cli.expect(5, "status")).out, /no backup is proven by a restore\n.*lifeboat verify/);
});

for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGKILL", null],
] as const) {
  test(`a proof that ${signal} ends in the middle records nothing, and the next one clears what it left`, async () => {
    const verify = cli.start("verify --depth checked --json");
    await verify.said(/checking tables and indexes/);
    const [sandbox = ""] = await leftSandboxes();
    const pidFile = path.join(sandboxes, sandbox, "data", "postmaster.pid");
    const pid = Number.parseInt(await readFile(pidFile, "utf8"), 10);
    verify.child.kill(signal);
    assert.equal((await verify.ended).status, status);
    if (signal === "SIGINT") assert.deepEqual(await leftSandboxes(), []);
    else assert.deepEqual(await leftSandboxes(), [sandbox]);
    assert.deepEqual(await proofs(), [undefined]);
    assert.equal(
      await systemProcesses.isAlive(pid),
      signal === "SIGKILL",
      "a killed command leaves its server running",
    );
    const next = await cli.expect(0, "verify --depth present");
    if (signal === "SIGKILL")
      assert.match(next.err, new RegExp(`removed ${path.join(sandboxes, sandbox)}, which a proof that was killed`));
    assert.deepEqual(await leftSandboxes(), []);
    assert.equal(await systemProcesses.isAlive(pid), false);
    await rm(path.join(folder, "vault", "backups"), { recursive: true });
    await cli.expect(0, "backup --full --tier hourly");
  });
}

test("a proof at every depth is shown by backups and status, and nothing of the sandbox stays", async () => {
  const { proofs: made } = (await cli.json("verify --depth checked")) as Verified;
  assert.deepEqual(
    made.map(({ reached, failedAt }) => [reached, failedAt]),
    [["checked", null]],
  );
  assert.equal(made[0]?.checked?.invariants, 1);
  assert.deepEqual(await proofs(), ["checked"]);
  assert.match((await cli.run("status")).out, /newest proof: +\S+ checked, /);
  assert.deepEqual(await leftSandboxes(), []);
});

test("a failed proof ends with status 5, names the object and the backup that is still proven, which prune keeps", async () => {
  const [proven = ""] = ((await cli.json("backups")) as Backups).backups.map(({ backupId }) => backupId);
  await cli.expect(0, "backup --full --tier hourly");
  const packs = await newestPack();
  const bytes = await readFile(packs);
  bytes[bytes.byteLength >> 1] = (bytes[bytes.byteLength >> 1] ?? 0) ^ 1;
  await rm(packs);
  await writeFile(packs, bytes);
  const { out } = await cli.expect(5, "verify");
  assert.match(out, /failed at intact: \d+ findings?; present was shown\./);
  assert.ok(out.includes(`packs/${path.basename(path.dirname(packs))}/${path.basename(packs)}`), out);
  assert.match(out, new RegExp(`Still proven:\n  ${proven}  checked`));
  assert.match((await cli.expect(5, "status")).out, /failed its proof/);
  const { keep } = (await cli.json(
    "prune --dry-run --retention-hourly 0 --retention-daily 0 --retention-weekly 0",
  )) as {
    readonly keep: readonly { readonly backupId: string; readonly reasons: readonly { readonly kind: string }[] }[];
  };
  const reasons = keep.find(({ backupId }) => backupId === proven)?.reasons.map(({ kind }) => kind);
  assert.ok(reasons?.includes("newest-proven"), JSON.stringify(keep));
});

test("a backup that is not there, and invariants that cannot be read, are refused before anything is done", async () => {
  assert.match((await cli.expect(4, "verify nobody")).err, /has no backup nobody.*\n.*\ncode: vault\.backup-unknown/);
  const missing = await cli.expect(2, "verify --proof-invariants-file gone.yaml");
  assert.match(missing.err, /code: proof\.invariants-unreadable/);
});

/** The pack that was stored last. */
async function newestPack(): Promise<string> {
  const root = path.join(folder, "vault", "packs");
  let newest = { file: "", atMs: 0 };
  for (const name of await readdir(root, { recursive: true })) {
    const facts = await stat(path.join(root, name));
    if (facts.isFile() && facts.mtimeMs > newest.atMs) newest = { file: path.join(root, name), atMs: facts.mtimeMs };
  }
  return newest.file;
}
