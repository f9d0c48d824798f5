/**
 * What a program of ours found when it began and does not ask for again, as a line for its configuration: with any of it the file
 * changes, and whoever runs with the file is started anew. Pure.
 *
 * A daemon drives the poolers that there were, with the passwords that they had. One that drives others has a failover leave
 * clients at the old primary.
 */
import { createHash } from "node:crypto";
import { instancesOf } from "./instances.ts";
import { STARS, type StackSecrets } from "./secrets.ts";
import type { StackDescription } from "./stack.ts";

/** What they log in with, and what a daemon restores a node with. */
const USED = ["superuser", "replication", "backup", "application", "pooler-admin", "vault-passphrase"] as const;
/** Enough to tell two apart. */
const DIGEST_CHARACTERS = 16;

/** A comment, with its line's end. No secret can be tried by it: all are in the digest together, and some nobody chose. */
export function drivenLine(stack: Pick<StackDescription, "poolers" | "apis">, secrets: StackSecrets): string {
  const used = USED.map((name) => secrets[name]);
  const digest = createHash("sha256").update(JSON.stringify(used)).digest("hex").slice(0, DIGEST_CHARACTERS);
  const shown = used.every((secret) => secret === STARS) ? STARS : digest;
  return `# Begun with ${instancesOf(stack, "pgbouncer").join(", ")} and secrets ${shown}.\n`;
}
