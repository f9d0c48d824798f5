import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { systemProcesses } from "../platform/processes.ts";
import { configOf, resolveSettings } from "./resolve.ts";
import { readServerPassword, readVaultSecret, type SecretTools } from "./secrets.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "lifeboat-secret-"));
});
after(() => rm(folder, { recursive: true }));

function config(flags: Record<string, string>, environment: Record<string, string> = {}) {
  const place = { uid: 0, home: "/", stateHome: "/", dataHome: "/", configHome: "/" };
  return configOf(resolveSettings({ file: undefined, environment, flags, place, workingFolder: folder }).rows);
}

function tools(given: Partial<SecretTools> = {}): SecretTools & { readonly warnings: string[] } {
  const warnings: string[] = [];
  const base = { files: systemFiles, processes: systemProcesses, prompt: undefined };
  return { ...base, warn: (message) => warnings.push(message), warnings, ...given };
}

async function secretFile(name: string, content: string, mode = 0o600): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, content);
  await chmod(file, mode);
  return file;
}

test("the passphrase is the file's one line, without its end", async () => {
  const file = await secretFile("one", "correct horse \r\n");
  const { vault } = config({ "vault.passphraseFile": file });
  assert.deepEqual(await readVaultSecret(vault, tools()), { kind: "passphrase", passphrase: "correct horse " });
});

test("a passphrase can come through a pipe, as the shell makes one of <(command)", async () => {
  const pipe = path.join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  const { vault } = config({ "vault.passphraseFile": pipe });
  const read = readVaultSecret(vault, tools());
  await writeFile(pipe, "piped\n");
  assert.deepEqual(await read, { kind: "passphrase", passphrase: "piped" });
});

test("a folder in place of a passphrase is the operator's mistake, not a fault of the disk", async () => {
  const { vault } = config({ "vault.passphraseFile": folder });
  await assert.rejects(readVaultSecret(vault, tools()), (error) => isLifeboatError(error, "config.secret-unusable"));
});

test("a file that others may read is used with a warning: a restore must not fail for its mode", async () => {
  const file = await secretFile("open", "x\n", 0o644);
  const told = tools();
  await readVaultSecret(config({ "vault.passphraseFile": file }).vault, told);
  assert.equal(told.warnings.length, 1);
  assert.match(told.warnings[0] ?? "", /chmod 600/);
});

test("an age identity file comes whole, and a wrong file is refused", async () => {
  const file = await secretFile("identity", "# pin\nAGE-SECRET-KEY-1\n");
  const { vault } = config({ "vault.identityFile": file });
  const expected = { kind: "identity", identities: "# pin\nAGE-SECRET-KEY-1\n" };
  assert.deepEqual(await readVaultSecret(vault, tools()), expected);
  const big = config({ "vault.identityFile": await secretFile("big", "x".repeat(65_537)) });
  await assert.rejects(readVaultSecret(big.vault, tools()), (error) =>
    isLifeboatError(error, "config.secret-unusable"),
  );
});

test("the recovery key goes before a passphrase, an unencrypted vault needs neither", async () => {
  const file = await secretFile("key", "ABCD-EFGH\n");
  const { vault } = config({ "vault.recoveryKeyFile": file });
  assert.deepEqual(await readVaultSecret(vault, tools()), { kind: "recovery-key", recoveryKey: "ABCD-EFGH" });
  assert.deepEqual(await readVaultSecret(config({ "vault.encryption": "off" }).vault, tools()), { kind: "open" });
});

test("a command prints the passphrase; one that fails is named with its status", async () => {
  const { vault } = config({ "vault.passphraseCommand": "printf 'se cret\\n'" });
  assert.deepEqual(await readVaultSecret(vault, tools()), { kind: "passphrase", passphrase: "se cret" });
  await assert.rejects(
    readVaultSecret(config({ "vault.passphraseCommand": "echo no; exit 3" }).vault, tools()),
    (error) => isLifeboatError(error, "config.secret-unusable") && error.message.includes("status 3"),
  );
});

test("empty, many-lined and endless secrets are refused without being repeated", async () => {
  for (const [name, content] of Object.entries({ empty: "\n", lines: "hunter2\nhunter3\n", long: "h".repeat(5000) })) {
    const { vault } = config({ "vault.passphraseFile": await secretFile(name, content) });
    await assert.rejects(readVaultSecret(vault, tools()), (error) => {
      assert.ok(isLifeboatError(error, "config.secret-unusable"));
      assert.doesNotMatch(`${error.message} ${error.remedy}`, /hunter|hhh/);
      return true;
    });
  }
});

test("a person is asked only when nothing is configured; with nobody there the error says what to set", async () => {
  const asked: string[] = [];
  const prompt = async (question: string) => {
    asked.push(question);
    return "typed";
  };
  const { vault } = config({});
  assert.deepEqual(await readVaultSecret(vault, tools({ prompt })), { kind: "passphrase", passphrase: "typed" });
  assert.equal(asked.length, 1);
  await assert.rejects(readVaultSecret(vault, tools()), (error) => isLifeboatError(error, "config.secret-missing"));
});

test("the server's password comes from environment, file or command; none is an answer", async () => {
  assert.equal(await readServerPassword(config({}, { PGPASSWORD: "env" }).server, tools()), "env");
  const passwordFile = await secretFile("pw", "filed");
  assert.equal(await readServerPassword(config({ "server.passwordFile": passwordFile }).server, tools()), "filed");
  const { server } = config({ "server.passwordCommand": "echo printed" });
  assert.equal(await readServerPassword(server, tools()), "printed");
  assert.equal(await readServerPassword(config({}).server, tools()), undefined);
});
