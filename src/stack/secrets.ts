/**
 * The secrets of a stack: made once, at its first start, and read from then on.
 *
 * Invariants: a secret lies in a file of its own that only its owner can read (mode 0600, in a folder of mode 0700), owned
 * by the user that runs the programs; it is never an argument, never in a variable and never logged; a file that is there
 * is never written again, so that a start that is cut short goes on with the same secrets.
 */
import path from "node:path";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { ProcessUser } from "../platform/processes.ts";
import type { RandomSource } from "../platform/random.ts";
import type { StackPlace } from "./stack.ts";

/** Those that Lifeboat reads itself, and what each opens. */
const READ_NAMES = [
  "superuser",
  "replication",
  "backup",
  "application",
  "pooler-admin",
  // Nothing: what makes other secrets of equal passwords (scram-secrets.ts).
  "password-salt",
  "redis",
  "vault-passphrase",
] as const;

/** Those that programs of the service read, from files that they are told of: one that an older stack has not stops nobody else. */
const SERVICE_NAMES = [
  "operator",
  // The MCP service reads with it what its callers ask without a key.
  "mcp",
] as const;

/** All that are made. */
export const SECRET_NAMES = [...READ_NAMES, ...SERVICE_NAMES] as const;

/** One of them. */
export type SecretName = (typeof SECRET_NAMES)[number];

/** The secrets of a stack that Lifeboat reads. */
export type StackSecrets = Readonly<Record<(typeof READ_NAMES)[number], string>>;

/** Secrets that are no use made anew once there is what they open. */
const KEPT_NAMES = ["superuser", "vault-passphrase"] as const;

/** One of these. */
export type KeptSecret = (typeof KEPT_NAMES)[number];

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

/** Which of those that Lifeboat reads are not there. */
export async function unreadableSecrets(files: Files, place: StackPlace): Promise<readonly SecretName[]> {
  const missing = new Set(await missingSecrets(files, place));
  return READ_NAMES.filter((name) => missing.has(name));
}

/**
 * Makes those that are missing, durably. The folder must be there. Rejects with `stack.secret-unusable`, and makes none, where one
 * that is missing is `kept`: what it opens is there, and no other one opens it.
 */
export async function makeSecrets(
  { files, random }: Tools,
  place: StackPlace,
  options: {
    readonly owner: ProcessUser | undefined;
    readonly kept?: readonly KeptSecret[];
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const missing = await missingSecrets(files, place);
  const lost = options.kept?.find((name) => missing.includes(name));
  if (lost !== undefined) throw lostSecret(secretFile(place, lost), lost);
  for (const name of missing) {
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

function lostSecret(file: string, name: KeptSecret): LifeboatError {
  const [opens, otherwise] =
    name === "superuser"
      ? [
          "what the server asks its superuser for",
          "Without one: set another password in the server by hand, and write it there.",
        ]
      : [
          "what opens the vault",
          "Without one: lifeboat vault key add --vault-recovery-key-file FILE --passphrase-file FILE, with another line in the second, which then belongs there.",
        ];
  return new LifeboatError("stack.secret-unusable", {
    message: `${file} is not there, and another one is not ${opens}`,
    remedy: `Put the file back from a copy, owned by the user of the other secrets, mode 0600. ${otherwise}`,
  });
}

/** Reads those that Lifeboat reads. Rejects with `stack.secret-unusable` when one is not there or holds none. */
export async function readSecrets(files: Files, place: StackPlace): Promise<StackSecrets> {
  const read = async (name: SecretName): Promise<string> => {
    const file = secretFile(place, name);
    const text = await textOf(files, file);
    // What stands in quotes in four different configuration languages must need none.
    if (/^[\w.~-]+$/.test(text) && text.length <= SECRET_LENGTH_MAX) return text;
    throw new LifeboatError("stack.secret-unusable", {
      message: `${file} must hold one line of letters, digits and . _ ~ -, and holds ${text === "" ? "nothing" : "something else"}`,
      remedy:
        "Put back the line that the file held when the stack was started first, or one of these characters where it is to change.",
    });
  };
  const [superuser, replication, backup, application, poolerAdmin, passwordSalt, redis, passphrase] = await Promise.all(
    [
      read("superuser"),
      read("replication"),
      read("backup"),
      read("application"),
      read("pooler-admin"),
      read("password-salt"),
      read("redis"),
      read("vault-passphrase"),
    ],
  );
  return {
    superuser,
    replication,
    backup,
    application,
    "pooler-admin": poolerAdmin,
    "password-salt": passwordSalt,
    redis,
    "vault-passphrase": passphrase,
  };
}

async function textOf(files: Files, file: string): Promise<string> {
  try {
    return (await files.readFile(file)).toString("utf8").replace(/\n$/, "");
  } catch (cause) {
    if (!isLifeboatError(cause, "platform.file-missing")) throw cause;
    throw new LifeboatError("stack.secret-unusable", {
      message: `${file} is not there`,
      remedy:
        "Put it back from a copy; else run lifeboat up, which makes another one where that is any use, and says where not.",
      cause,
    });
  }
}
