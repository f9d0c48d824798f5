/** Whether the database has the schema that this program was written for: before it begins, and ever after, since one that is restored may be older. */
import type { Clock } from "../../src/platform/clock.ts";
import { Loop } from "../../src/platform/loop.ts";

/** A database that is brought to its schema is waited for, and one that cannot be asked yet. */
const EVERY_MS = 250;
/** A restore takes longer than this. */
const EVERY_GOOD_MS = 2_000;
/** So often in a row a primary has to say that it is older before a program that could work stops. */
const OLDER_TIMES = 2;

/** What is known of it; `newer` is as good as `fits`, since a migration leaves what an older program uses. */
export type SchemaState = "unasked" | "older" | "fits" | "newer";

/** What the watch needs: the clock, and what runs a statement that writes nothing. */
export type SchemaWatchTools = {
  readonly clock: Clock;
  readonly ask: (text: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;
};

type Found = { readonly number: number; readonly isReplica: boolean };

/**
 * Asks until it is stopped. What a replica says counts only until a primary has said something: it may be of a history that was left, or
 * behind a migration.
 */
export class SchemaWatch {
  readonly #tools: SchemaWatchTools;
  /** The number of the newest migration that this program knows. */
  readonly #wanted: number;
  readonly #tell: (what: string) => void;
  readonly #loop: Loop;
  #state: SchemaState = "unasked";
  #hasPrimarySpoken = false;
  #olderInARow = 0;

  constructor(
    tools: SchemaWatchTools,
    { wanted, tell }: { readonly wanted: number; readonly tell: (what: string) => void },
  ) {
    this.#tools = tools;
    this.#wanted = wanted;
    this.#tell = tell;
    this.#loop = new Loop(async (signal) => {
      const found = await this.#ask();
      if (found !== undefined) this.#found(found);
      await tools.clock.sleep(this.isThere ? EVERY_GOOD_MS : EVERY_MS, { signal }).catch(() => undefined);
    });
  }

  get state(): SchemaState {
    return this.#state;
  }

  /** Whether this program can work with it. */
  get isThere(): boolean {
    return this.#state === "fits" || this.#state === "newer";
  }

  /** Begins to ask. */
  start(): void {
    this.#loop.start();
  }

  /** Ends when a question under way has. Repeatable. */
  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  #found({ number, isReplica }: Found): void {
    if (isReplica && this.#hasPrimarySpoken) return;
    this.#hasPrimarySpoken ||= !isReplica;
    const state = number < this.#wanted ? "older" : number > this.#wanted ? "newer" : "fits";
    this.#olderInARow = state === "older" ? this.#olderInARow + 1 : 0;
    if (state === "older" && this.isThere && (isReplica || this.#olderInARow < OLDER_TIMES)) return;
    const before = this.#state;
    if (state === before) return;
    this.#state = state;
    if (state === "fits" && before === "unasked") return;
    const known = `the database's schema is of migration ${number}, this program's of ${this.#wanted}`;
    this.#tell(state === "older" ? `${known}: not ready until \`lifeboat up\` has brought it there` : known);
  }

  /** The number of the newest migration there, 0 for a database without any, and who says so; undefined while nobody can be asked. */
  async #ask(): Promise<Found | undefined> {
    try {
      return foundIn(
        await this.#tools.ask("select max(number) as number, pg_is_in_recovery() as is_replica from schema_migrations"),
      );
    } catch (error) {
      // Source: PostgreSQL, "Error codes": undefined_table.
      if (typeof error !== "object" || error === null || !("code" in error) || error.code !== "42P01") return undefined;
    }
    // The error does not say whose it is, and by now it may be there.
    const rows = await this.#tools
      .ask("select 0 as number, pg_is_in_recovery() as is_replica where to_regclass('schema_migrations') is null")
      .catch(() => []);
    return foundIn(rows);
  }
}

function foundIn([row]: readonly Readonly<Record<string, unknown>>[]): Found | undefined {
  return row === undefined ? undefined : { number: Number(row["number"] ?? 0), isReplica: row["is_replica"] === true };
}
