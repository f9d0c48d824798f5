/**
 * The secrets of a stack: made once, at its first start, and read from then on.
 *
 * Invariants: a secret lies in a file of its own that only its owner can read (mode 0600, in a folder of mode 0700), owned
 * by the user that runs the programs; it is never an argument, never in a variable and never logged; a file that is there
 * is never written again, so that a start that is cut short goes on with the same secrets.
 */
import path from "node:path";
import { LifeboatError } from "../errors/error.ts";
import { writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { ProcessUser } from "../platform/processes.ts";
import type { RandomSource } from "../platform/random.ts";
import type { StackPlace } from "./stack.ts";

/** What each secret opens. */
export const SECRET_NAMES = [
  "superuser",
  "replication",
  "backup",
  "application",
  "pooler-admin",
  // Nothing: what makes other secrets of equal passwords (scram-secrets.ts).
  "password-salt",
  "redis",
  "operator",
  // The MCP service reads with it what its callers ask without a key.
  "mcp",
  "vault-passphrase",
] as const;

/** One of them. */
export type SecretName = (typeof SECRET_NAMES)[number];

/** All secrets of a stack. */
export type StackSecrets = Readonly<Record<SecretName, string>>;

/** What stands in their place where configuration is shown. */
export const STARS = "********";

/** Secrets for showing configuration: stars. */
export const HIDDEN_SECRETS: StackSecrets = {
  superuser: STARS,
  replication: STARS,
  backup: STARS,
  application: STARS,
  "pooler-admin": STARS,
  "password-salt": STARS,
  redis: STARS,
  operator: STARS,
  mcp: STARS,
  "vault-passphrase": STARS,
};

/** 192 bits, which nobody guesses; in characters that need quoting nowhere. */
const SECRET_BYTES = 24;

/** As ours look. What somebody thought of may, too, but it then has 32 characters without a blank. */
const LIKE_OURS = /^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[\w-]{32}$/;

/** A secret of ours has 32 characters; more than this is not one of them. */
const SECRET_LENGTH_MAX = 1_024;

type Tools = { readonly files: Files; readonly random: RandomSource };

/** The file of a secret. */
export function secretFile(place: StackPlace, name: SecretName): string {
  return path.join(place.secrets, name);
}

/** Which secrets are not there yet. */
export async function missingSecrets(files: Files, place: StackPlace): Promise<readonly SecretName[]> {
  const missing: SecretName[] = [];
  for (const name of SECRET_NAMES) {
    if ((await files.stat(secretFile(place, name))) === undefined) missing.push(name);
  }
  return missing;
}

/** Makes those that are missing, durably. The folder must be there. */
export async function makeSecrets(
  { files, random }: Tools,
  place: StackPlace,
  options: { readonly owner: ProcessUser | undefined; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  for (const name of await missingSecrets(files, place)) {
    const file = secretFile(place, name);
    const parts = [Buffer.from(`${random(SECRET_BYTES).toString("base64url")}\n`)];
    const unique = random(8).toString("hex");
    await writeDurable(files, { file, parts, over: "new", permissions: 0o600, unique, signal: options.signal });
    if (options.owner !== undefined) await files.changeOwner(file, options.owner);
  }
}

/** Whether a secret may be one of ours: nobody guesses it, so that stretching it would delay its owner only. */
export function mayBeMade(secret: string): boolean {
  return LIKE_OURS.test(secret);
}

/** Reads all. Throws `platform.file-missing` when one is not there and `stack.secret-unusable` when it holds none. */
export async function readSecrets(files: Files, place: StackPlace): Promise<StackSecrets> {
  const read = async (name: SecretName): Promise<string> => {
    const file = secretFile(place, name);
    const text = (await files.readFile(file)).toString("utf8").replace(/\n$/, "");
    // What stands in quotes in four different configuration languages must need none.
    if (/^[\w.~-]+$/.test(text) && text.length <= SECRET_LENGTH_MAX) return text;
    throw new LifeboatError("stack.secret-unusable", {
      message: `${file} must hold one line of letters, digits and . _ ~ -, and holds ${text === "" ? "nothing" : "something else"}`,
      remedy: "Put back the line that the file held when the stack was started first.",
    });
  };
  const [superuser, replication, backup, application, poolerAdmin, passwordSalt, redis, operator, mcp, passphrase] =
    await Promise.all([
      read("superuser"),
      read("replication"),
      read("backup"),
      read("application"),
      read("pooler-admin"),
      read("password-salt"),
      read("redis"),
      read("operator"),
      read("mcp"),
      read("vault-passphrase"),
    ]);
  return {
    superuser,
    replication,
    backup,
    application,
    "pooler-admin": poolerAdmin,
    "password-salt": passwordSalt,
    redis,
    operator,
    mcp,
    "vault-passphrase": passphrase,
  };
}
