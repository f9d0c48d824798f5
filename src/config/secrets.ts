/**
 * Reads the secrets that the configuration names.
 *
 * Invariants: a secret comes from a file, from what a command prints, from the environment or from a person at a
 * terminal, never from an argument or the configuration file; it never appears in a message.
 */
import { LifeboatError } from "../errors/error.ts";
import type { FileFacts } from "../platform/files.ts";
import type { RunRequest, RunResult } from "../platform/processes.ts";
import type { Config } from "./schema.ts";
import { environmentOf } from "./setting.ts";

/** A passphrase is a line; more than this is a wrong file. */
const SECRET_BYTES_MAX = 4096;

/** A password manager may ask its owner to touch a key: longer than a machine needs, shorter than a hung one. */
const SECRET_COMMAND_TIMEOUT_MS = 60_000;

/** An age identity file: post-quantum identities and comments take some lines. */
const IDENTITY_FILE_BYTES_MAX = 65_536;

const TOO_LONG = `is longer than ${SECRET_BYTES_MAX} bytes`;

const OTHERS_MAY_READ = 0o044;

/** What reading a secret needs. */
export type SecretTools = {
  readonly files: SecretFiles;
  readonly processes: SecretProcesses;
  /** Asks a person; undefined where there is no terminal. */
  readonly prompt: ((question: string) => Promise<string>) | undefined;
  /** Told of what is unsafe and yet no reason to stop a recovery: a file that others may read. */
  readonly warn: (message: string) => void;
  readonly signal?: AbortSignal | undefined;
};

/** What is needed of the files port. */
export interface SecretFiles {
  stat(file: string): Promise<FileFacts | undefined>;
  readFile(file: string): Promise<Buffer>;
}

/** What is needed of the processes port. */
export interface SecretProcesses {
  run(request: RunRequest): Promise<RunResult>;
}

/** What opens a vault. */
export type VaultSecretSource =
  | { readonly kind: "passphrase"; readonly passphrase: string }
  | { readonly kind: "recovery-key"; readonly recoveryKey: string }
  /** The text of an age identity file. */
  | { readonly kind: "identity"; readonly identities: string }
  | { readonly kind: "open" };

/**
 * The secret of the vault: the one of recovery key file, identity file, passphrase file and passphrase command that is left by
 * the strongest source, or a person's answer.
 * Rejects with `config.secret-missing` when there is none of these, `config.secret-unusable` when one gives nothing usable.
 */
export async function readVaultSecret(vault: Config["vault"], tools: SecretTools): Promise<VaultSecretSource> {
  if (vault.encryption === "off") return { kind: "open" };
  if (vault.recoveryKeyFile !== undefined) {
    return { kind: "recovery-key", recoveryKey: await secretOfFile(vault.recoveryKeyFile, "the recovery key", tools) };
  }
  if (vault.identityFile !== undefined) {
    return { kind: "identity", identities: await readIdentityFile(vault.identityFile, tools) };
  }
  const passphrase = await secretOf(
    { file: vault.passphraseFile, command: vault.passphraseCommand, what: "the vault's passphrase" },
    tools,
  );
  if (passphrase !== undefined) return { kind: "passphrase", passphrase };
  if (tools.prompt !== undefined) {
    const answer = await tools.prompt(`Passphrase of the vault ${vault.path}: `);
    return { kind: "passphrase", passphrase: usable(answer, "the vault's passphrase", "what was typed") };
  }
  throw new LifeboatError("config.secret-missing", {
    message: `the vault ${vault.path} needs a passphrase, none is configured, and there is no terminal to ask at`,
    remedy: `Set vault.passphraseFile or vault.passphraseCommand in lifeboat.yaml, or ${environmentOf("vault.passphraseFile")}.`,
  });
}

/** The password of the server's role; undefined when none is configured, which is right for peer and trust logins. */
export async function readServerPassword(server: Config["server"], tools: SecretTools): Promise<string | undefined> {
  if (server.password !== undefined) return server.password;
  const from = { file: server.passwordFile, command: server.passwordCommand, what: "the server's password" };
  return secretOf(from, tools);
}

async function secretOf(
  from: { readonly file: string | undefined; readonly command: string | undefined; readonly what: string },
  tools: SecretTools,
): Promise<string | undefined> {
  if (from.file !== undefined) return secretOfFile(from.file, from.what, tools);
  if (from.command !== undefined) return secretOfCommand(from.command, from.what, tools);
  return undefined;
}

/** A secret of one line from a file. Rejects with `config.secret-unusable` when it holds nothing usable. */
export async function readSecretFile(file: string, what: string, tools: SecretTools): Promise<string> {
  return await secretOfFile(file, what, tools);
}

async function readIdentityFile(file: string, tools: SecretTools): Promise<string> {
  const what = "the age identity";
  const facts = await tools.files.stat(file);
  if (facts?.kind === "file") {
    warnWhenOpen(file, { what, mode: facts.mode }, tools);
    if (facts.sizeBytes > IDENTITY_FILE_BYTES_MAX) {
      throw new LifeboatError("config.secret-unusable", {
        message: `${what} from the file ${file} is longer than ${IDENTITY_FILE_BYTES_MAX} bytes`,
        remedy: "Name the file that age-keygen wrote (vault.identityFile).",
      });
    }
  }
  return (await tools.files.readFile(file)).toString("utf8");
}

function warnWhenOpen(
  file: string,
  of: { readonly what: string; readonly mode: number },
  tools: Pick<SecretTools, "warn">,
): void {
  if ((of.mode & OTHERS_MAY_READ) === 0) return;
  tools.warn(`${file} holds ${of.what} and others may read it (mode ${of.mode.toString(8)}): chmod 600 ${file}`);
}

async function secretOfFile(file: string, what: string, tools: SecretTools): Promise<string> {
  const facts = await tools.files.stat(file);
  // Only of a regular file do mode and size say something: a pipe (`<(pass show vault)`) and a link are read as they are.
  if (facts?.kind === "file") {
    warnWhenOpen(file, { what, mode: facts.mode }, tools);
    if (facts.sizeBytes > SECRET_BYTES_MAX + 2) throw unusable(what, `the file ${file}`, TOO_LONG);
  }
  if (facts?.kind === "folder") throw unusable(what, file, "is a folder");
  return usable((await tools.files.readFile(file)).toString("utf8"), what, `the file ${file}`);
}

async function secretOfCommand(command: string, what: string, tools: SecretTools): Promise<string> {
  const { exit, stdout } = await tools.processes.run({
    command: "/bin/sh",
    args: ["-c", command],
    timeoutMs: SECRET_COMMAND_TIMEOUT_MS,
    signal: tools.signal,
    outputBytesMax: SECRET_BYTES_MAX + 1,
  });
  if (exit.kind === "exited" && exit.status === 0) return usable(stdout, what, "the configured command");
  const how = exit.kind === "exited" ? `ended with status ${exit.status}` : `was ended by ${exit.signal}`;
  throw new LifeboatError("config.secret-unusable", {
    message: `the command for ${what} ${how}: ${command}`,
    remedy: "Run the command by hand as this user; it must print the secret and end with status 0.",
  });
}

function usable(text: string, what: string, where: string): string {
  const secret = text.replace(/\r?\n$/, "");
  const fault =
    secret === ""
      ? "is empty"
      : Buffer.byteLength(secret) > SECRET_BYTES_MAX
        ? TOO_LONG
        : /[\0\r\n]/.test(secret)
          ? "has more than one line"
          : undefined;
  if (fault === undefined) return secret;
  throw unusable(what, where, fault);
}

function unusable(what: string, where: string, fault: string): LifeboatError {
  return new LifeboatError("config.secret-unusable", {
    message: `${what} from ${where} ${fault}`,
    remedy: "Give exactly the secret on one line; a line end after it is ignored.",
  });
}
