/** Whether the database has the schema that this program was written for. */
import type { Clock } from "../../src/platform/clock.ts";
import type { Reads } from "../database/reads.ts";

/** A database that is brought to its schema is waited for, and one that cannot be asked yet. */
const EVERY_MS = 250;

/** What is known of it; `newer` is as good as `fits`, since a migration leaves what an older program uses. */
export type SchemaState = "unasked" | "older" | "fits" | "newer";

/** Asks until the schema is there. Afterwards no more: nothing takes it back. */
export class SchemaWatch {
  readonly #tools: { readonly clock: Clock; readonly reads: Pick<Reads, "read"> };
  /** The number of the newest migration that this program knows. */
  readonly #wanted: number;
  readonly #tell: (what: string) => void;
  readonly #ended = new AbortController();
  #watching: Promise<void> = Promise.resolve();
  #state: SchemaState = "unasked";

  constructor(
    tools: { readonly clock: Clock; readonly reads: Pick<Reads, "read"> },
    { wanted, tell }: { readonly wanted: number; readonly tell: (what: string) => void },
  ) {
    this.#tools = tools;
    this.#wanted = wanted;
    this.#tell = tell;
  }

  get state(): SchemaState {
    return this.#state;
  }

  /** Whether requests can be answered with it. */
  get isThere(): boolean {
    return this.#state === "fits" || this.#state === "newer";
  }

  /** Begins to ask. */
  start(): void {
    this.#watching = this.#watch();
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#watching;
  }

  async #watch(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted && !this.isThere) {
      const found = await this.#ask();
      if (found !== undefined) this.#found(found);
      if (!this.isThere) await this.#tools.clock.sleep(EVERY_MS, { signal }).catch(() => undefined);
    }
  }

  #found(number: number): void {
    const state = number < this.#wanted ? "older" : number > this.#wanted ? "newer" : "fits";
    if (state === this.#state) return;
    this.#state = state;
    if (state === "fits") return;
    const known = `the database's schema is of migration ${number}, this program's of ${this.#wanted}`;
    this.#tell(state === "older" ? `${known}: not ready until \`lifeboat up\` has brought it there` : known);
  }

  /** The number of the newest migration there; 0 for a database without any, undefined while nobody can be asked. */
  async #ask(): Promise<number | undefined> {
    try {
      const { rows } = await this.#tools.reads.read("select max(number) as number from schema_migrations", []);
      return Number(rows[0]?.["number"] ?? 0);
    } catch (error) {
      // Source: PostgreSQL, "Error codes": undefined_table.
      return typeof error === "object" && error !== null && "code" in error && error.code === "42P01" ? 0 : undefined;
    }
  }
}
