/** Keys as this process knows them. */
import type { Clock, Monotonic } from "../../src/platform/clock.ts";
import type { Reads } from "../database/reads.ts";
import { type Caller, hashOf, SCOPES, type Scope, TIERS, type Tier } from "./key.ts";

/** So long a key that was looked up needs no second look. */
export const KEY_FRESH_MS = 15_000;
/** So long it stays good while nobody can be asked: longer than any failover. */
const KEY_GRACE_MS = 600_000;
/** A key that is none is asked for again after so long. */
const STRANGER_MS = 2_000;
const KNOWN_MAX = 20_000;
/** Keys that nobody has are kept apart: who guesses keys must not have good ones forgotten. */
const STRANGERS_MAX = 2_000;

/** What is known of a key. */
export type Standing =
  | { readonly kind: "good"; readonly caller: Caller }
  | { readonly kind: "revoked"; readonly id: number }
  | { readonly kind: "unknown" }
  /** No server could be asked, and it was not known before. */
  | { readonly kind: "unasked" };

type Known = { standing: Standing; askedAt: Monotonic; asking: boolean };

/** See key.ts. */
export class KnownKeys {
  readonly #tools: { readonly clock: Clock; readonly reads: Reads };
  readonly #known = new Map<string, Known>();
  readonly #strangers = new Map<string, Known>();
  /** Looked up now: who asks for one key at once waits for one query. */
  readonly #asking = new Map<string, Promise<Standing>>();
  readonly #operator: Caller | undefined;

  constructor(tools: { readonly clock: Clock; readonly reads: Reads; readonly operatorKey: string | undefined }) {
    this.#tools = tools;
    this.#operator =
      tools.operatorKey === undefined
        ? undefined
        : { id: 0, hash: hashOf(tools.operatorKey), agentName: "operator", tier: "partner", scopes: SCOPES };
  }

  /** What a key is. Never rejects. */
  async standing(key: string): Promise<Standing> {
    const hash = hashOf(key);
    if (hash === this.#operator?.hash) return { kind: "good", caller: this.#operator };
    const { clock } = this.#tools;
    const known = this.#known.get(hash) ?? this.#strangers.get(hash);
    if (known === undefined) return await this.#ask(hash);
    const age = clock.monotonic() - known.askedAt;
    if (known.standing.kind !== "good") return age < STRANGER_MS ? known.standing : await this.#ask(hash);
    if (age < KEY_FRESH_MS) return known.standing;
    if (age > KEY_GRACE_MS) return await this.#ask(hash);
    // Good lately: asked again beside, so that no request waits for it.
    if (!known.asking) {
      known.asking = true;
      void this.#ask(hash).finally(() => {
        known.asking = false;
      });
    }
    return known.standing;
  }

  /** This key was revoked or made just now, here. */
  learn(hash: string, standing: Standing): void {
    const [kept, max] =
      standing.kind === "unknown" ? ([this.#strangers, STRANGERS_MAX] as const) : ([this.#known, KNOWN_MAX] as const);
    this.#known.delete(hash);
    this.#strangers.delete(hash);
    kept.set(hash, { standing, askedAt: this.#tools.clock.monotonic(), asking: false });
    if (kept.size <= max) return;
    for (const oldest of kept.keys()) {
      kept.delete(oldest);
      break;
    }
  }

  async #ask(hash: string): Promise<Standing> {
    const under = this.#asking.get(hash);
    if (under !== undefined) return await under;
    const asking = this.#lookUp(hash);
    this.#asking.set(hash, asking);
    try {
      return await asking;
    } finally {
      this.#asking.delete(hash);
    }
  }

  async #lookUp(hash: string): Promise<Standing> {
    try {
      const { rows, from } = await this.#tools.reads.read(
        "select id, agent_name, tier, scopes, revoked_at is not null as is_revoked from api_keys where key_hash = decode($1, 'hex')",
        [hash],
      );
      const [row] = rows;
      // A replica may not have it yet.
      if (row === undefined && from === "replica") return { kind: "unasked" };
      const standing: Standing =
        row === undefined
          ? { kind: "unknown" }
          : row["is_revoked"] === true
            ? { kind: "revoked", id: Number(row["id"]) }
            : { kind: "good", caller: callerOf(hash, row) };
      this.learn(hash, standing);
      return standing;
    } catch {
      return { kind: "unasked" };
    }
  }
}

function callerOf(hash: string, row: Readonly<Record<string, unknown>>): Caller {
  const tier = String(row["tier"]);
  const scopes = Array.isArray(row["scopes"]) ? row["scopes"].map(String) : [];
  return {
    id: Number(row["id"]),
    hash,
    agentName: String(row["agent_name"]),
    tier: tier in TIERS ? (tier as Tier) : "free",
    scopes: SCOPES.filter((scope): scope is Scope => scopes.includes(scope)),
  };
}
