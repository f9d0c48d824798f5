/**
 * What servers keep of passwords instead of the passwords: the same at the primary and in the pooler's list of users. Pure.
 *
 * Invariant: of one stack's password and role it is always the same text. The pooler logs in to a server with what a client's
 * own login proved, and that fits only where both keep the same secret.
 */
import { createHash } from "node:crypto";
import { scramSecret } from "../postgres/wire/scram.ts";
import { STARS, type StackSecrets } from "./secrets.ts";

/** A role that logs in through the pooler, and the secret that is its password. */
export type PooledRole = { readonly role: string; readonly password: "application" | "pooler-admin" };

/** As `pg_authid.rolpassword` and PgBouncer's auth_file hold it; stars where the secrets are stars. */
export function scramSecretOf(secrets: StackSecrets, { role, password }: PooledRole): string {
  if (secrets[password] === STARS) return STARS;
  // Of the salt of this stack, which is random, and never of the password: a salt is told to whoever begins to log in.
  const salt = createHash("sha256").update(`${secrets["password-salt"]} ${role}`).digest().subarray(0, SALT_BYTES);
  return scramSecret({ password: secrets[password], salt });
}

/** As PostgreSQL makes them. */
const SALT_BYTES = 16;
