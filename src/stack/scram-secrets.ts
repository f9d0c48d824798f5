/**
 * What servers keep of passwords instead of the passwords: the same at the primary and in the pooler's list of users. Pure.
 *
 * Invariant: of one stack's password and role it is always the same text. The pooler logs in to a server with what a client's
 * own login proved, and that fits only where both keep the same secret. And whether a role has the password that lies in the stack's
 * secrets is seen without trying it; the password itself is in no statement, which a server may log.
 */
import { createHash } from "node:crypto";
import { scramSecret } from "../postgres/wire/scram.ts";
import { STARS, type StackSecrets } from "./secrets.ts";

/** A role, and the secret that is its password. */
export type PasswordRole = {
  readonly role: string;
  readonly password: "application" | "pooler-admin" | "replication" | "backup";
};

/** As `pg_authid.rolpassword` and PgBouncer's auth_file hold it; stars where the secrets are stars. */
export function scramSecretOf(secrets: StackSecrets, { role, password }: PasswordRole): string {
  if (secrets[password] === STARS) return STARS;
  // Of the salt of this stack, which is random, and never of the password: a salt is told to whoever begins to log in.
  const salt = createHash("sha256").update(`${secrets["password-salt"]} ${role}`).digest().subarray(0, SALT_BYTES);
  return scramSecret({ password: secrets[password], salt });
}

/** As PostgreSQL makes them. */
const SALT_BYTES = 16;
