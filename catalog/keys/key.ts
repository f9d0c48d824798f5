/**
 * Who calls.
 *
 * Nouns: a *key* is what a caller shows, `bw_<tier>_<secret>`; the database has its SHA-256 only; a *tier* says how much its
 * caller may ask, a *scope* what for; the *operator's key* and that of the MCP service lie in files of the stack and are in no database.
 * Invariants: showing a key writes nothing; a key that was good lately stays good while no server can be asked, for longer than
 * a failover takes; one that was revoked is refused at once wherever redis is asked, and within KEY_FRESH_MS where it is away.
 */
import { hash } from "node:crypto";
import type { RandomSource } from "../../src/platform/random.ts";

/** Tiers and what each may call a minute. */
export const TIERS = { free: 60, live: 600, partner: 60_000 } as const;

/** One of them. */
export type Tier = keyof typeof TIERS;

/** What a key may be used for. */
export const SCOPES = ["read", "ingest", "operate"] as const;

/** One of them. */
export type Scope = (typeof SCOPES)[number];

/** What calls of the MCP service are counted as that come without a key of their own. */
export const MCP_ID = -1;

/** A caller whose key is good. */
export type Caller = {
  /** Of its row; 0 for the operator and MCP_ID for the MCP service, which have none. */
  readonly id: number;
  /** Hexadecimal SHA-256 of the key. */
  readonly hash: string;
  readonly agentName: string;
  readonly tier: Tier;
  readonly scopes: readonly Scope[];
};

const SECRET_BYTES = 24;

/** A new key and what is kept of it. */
export function makeKey(
  random: RandomSource,
  tier: Tier,
): { readonly key: string; readonly prefix: string; readonly hash: string } {
  const key = `bw_${tier}_${random(SECRET_BYTES).toString("base64url")}`;
  return { key, prefix: key.slice(0, `bw_${tier}_`.length + 4), hash: hashOf(key) };
}

/** SHA-256 in hexadecimal. Keys have 192 bits of chance: a slow hash would protect nothing. */
export function hashOf(key: string): string {
  return hash("sha256", key);
}

/** The key of a request: `Authorization: Bearer …` or `ApiKey …`, or the header x-api-key. */
export function keyOf(headers: {
  readonly authorization?: string | undefined;
  readonly "x-api-key"?: unknown;
}): string | undefined {
  const match = /^(?:Bearer|ApiKey)\s+(\S{1,200})$/i.exec(headers.authorization ?? "");
  if (match !== null) return match[1];
  const header = headers["x-api-key"];
  return typeof header === "string" && header !== "" && header.length <= 200 ? header : undefined;
}
