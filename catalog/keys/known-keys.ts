/** Keys as this process knows them. */
import type { Clock, Monotonic } from "../../src/platform/clock.ts";
import { MinuteCounts } from "../../src/platform/minute-counts.ts";
import type { Reads } from "../database/reads.ts";
import { type Caller, hashOf, MCP_ID, SCOPES, type Scope, TIERS, type Tier } from "./key.ts";
import { Lane } from "./lane.ts";
import { PASSED_HEADER, passedAddress } from "./passed-address.ts";

/** So long a key that was looked up needs no second look. */
export const KEY_FRESH_MS = 15_000;
/** So long it stays good while nobody can be asked: longer than any failover. */
const KEY_GRACE_MS = 600_000;
/** A key that is none is asked for again after so long. */
const STRANGER_MS = 2_000;
const KNOWN_MAX = 20_000;
/** Keys that nobody has are kept apart: who guesses keys must not have good ones forgotten. */
const STRANGERS_MAX = 2_000;
/**
 * After so many keys in a minute that nobody has, those of an address are looked up one after another: behind a proxy or a balancer it
 * is also the address of others, whose keys are good.
 */
const GUESSES_MAX = 30;
/** Addresses that guess in a minute; beyond them everybody is taken for one of them. */
const GUESSERS_MAX = 10_000;
/** Keys that are looked up at once: an instance that has just started knows none, and requests want connections too. */
const LOOKUPS_MAX = 8;
/** Keys of addresses that guess that wait for their turn: a lookup takes a millisecond. Those beyond are refused. */
const GUESSES_WAITING_MAX = 200;

/** What is known of a key. */
export type Standing =
  | { readonly kind: "good"; readonly caller: Caller }
  | { readonly kind: "revoked"; readonly id: number }
  | { readonly kind: "unknown" }
  /** No server could be asked, and it was not known before. */
  | { readonly kind: "unasked" }
  /** Not looked up: too many wait that come from addresses which have shown many that nobody has. */
  | { readonly kind: "guessed" };

type Known = { standing: Standing; askedAt: Monotonic; asking: boolean };

/** See key.ts. */
export class KnownKeys {
  readonly #tools: { readonly clock: Clock; readonly reads: Reads };
  readonly #known = new Map<string, Known>();
  readonly #strangers = new Map<string, Known>();
  /** Looked up now: who asks for one key at once waits for one query. */
  readonly #asking = new Map<string, Promise<Standing>>();
  /** Keys that are in no database. */
  readonly #ours = new Map<string, Caller>();
  readonly #mcpKey: string | undefined;
  readonly #guesses: MinuteCounts;
  readonly #callers = new Lane(LOOKUPS_MAX, Number.POSITIVE_INFINITY);
  readonly #guessers = new Lane(1, GUESSES_WAITING_MAX);

  constructor(tools: {
    readonly clock: Clock;
    readonly reads: Reads;
    readonly operatorKey: string | undefined;
    readonly mcpKey: string | undefined;
  }) {
    this.#tools = tools;
    this.#guesses = new MinuteCounts(tools.clock, GUESSERS_MAX);
    const { operatorKey, mcpKey } = tools;
    this.#mcpKey = mcpKey;
    const own = (key: string | undefined, caller: Omit<Caller, "hash" | "tier">): void => {
      if (key === undefined) return;
      const hash = hashOf(key);
      this.#ours.set(hash, { ...caller, hash, tier: "partner" });
    };
    // The operator's last: a file that was copied over the other one takes nothing from it.
    own(mcpKey, { id: MCP_ID, agentName: "mcp", scopes: ["read"] });
    own(operatorKey, { id: 0, agentName: "operator", scopes: SCOPES });
  }

  /** The address for which the MCP service says that it asks; undefined for everybody else, whatever they say. */
  passedAddress(headers: Readonly<Record<string, unknown>>): string | undefined {
    return passedAddress(headers[PASSED_HEADER], this.#mcpKey);
  }

  /** What a key is that is shown from an address. Never rejects. */
  async standing(key: string, from: string): Promise<Standing> {
    const hash = hashOf(key);
    const { clock } = this.#tools;
    const known = this.#known.get(hash);
    if (known === undefined) {
      const caller = this.#ours.get(hash);
      if (caller !== undefined) return { kind: "good", caller };
      const stranger = this.#strangers.get(hash);
      if (stranger !== undefined && clock.monotonic() - stranger.askedAt < STRANGER_MS) return stranger.standing;
      return await this.#askInTurn(hash, from);
    }
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

  /** As `#ask`, in turn with others. */
  async #askInTurn(hash: string, from: string): Promise<Standing> {
    const lane = (this.#guesses.of(from) ?? GUESSES_MAX) < GUESSES_MAX ? this.#callers : this.#guessers;
    const standing = await lane.run(async () => this.#lately(hash) ?? (await this.#ask(hash)));
    if (standing?.kind === "unknown") this.#guesses.add(from);
    return standing ?? { kind: "guessed" };
  }

  /** What was found while this one waited. */
  #lately(hash: string): Standing | undefined {
    const found = this.#known.get(hash) ?? this.#strangers.get(hash);
    if (found === undefined) return undefined;
    return this.#tools.clock.monotonic() - found.askedAt < STRANGER_MS ? found.standing : undefined;
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
      const { rows, from, behindMs } = await this.#tools.reads.read(
        "select id, agent_name, tier, scopes, revoked_at is not null as is_revoked from api_keys where key_hash = decode($1, 'hex')",
        [hash],
      );
      const [row] = rows;
      // A replica may not have it yet.
      if (row === undefined && from === "replica") return { kind: "unasked" };
      // And what it has may have been revoked since.
      if (row !== undefined && row["is_revoked"] !== true && behindMs > KEY_GRACE_MS) return { kind: "unasked" };
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
