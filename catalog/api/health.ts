/**
 * How an instance is.
 *
 * `live` touches nothing but the process. `ready` is whether it can answer reads from anywhere: the loss of the primary leaves it
 * ready, since all instances lose it together, and a balancer without instances is an outage of our own making; and whether the
 * database has the schema it needs, as far as is known. `health` tells people of every dependency, and is down when no database answers.
 */
import type { Monotonic } from "../../src/platform/clock.ts";
import type { WayView } from "../database/way.ts";
import type { SchemaState, SchemaWatch } from "../schema/schema-watch.ts";
import type { ApiTools } from "./tools.ts";

/** So long kept copies carry an instance that no database answers: as long as one may be given. */
const READY_GRACE_MS = 600_000;

type HealthTools = Pick<ApiTools, "clock" | "redis"> & {
  readonly main: Pick<ApiTools["main"], "view">;
  readonly other: Pick<ApiTools["main"], "view"> | undefined;
  readonly writes: Pick<ApiTools["writes"], "waiting">;
  readonly schema: Pick<SchemaWatch, "state" | "isThere">;
};

/** What is told. */
export type HealthReport = {
  readonly status: "ok" | "degraded" | "down";
  readonly instance: string;
  readonly can_read: boolean;
  readonly can_write: boolean;
  readonly dependencies: {
    readonly database: { readonly status: WayView; readonly schema: SchemaState };
    readonly reads: { readonly status: WayView | "none" };
    readonly redis: { readonly status: "ok" | "away" | "none" };
  };
  readonly writes_waiting: number;
};

/** Whether requests may be sent to an instance; why not. */
export const READINESS = ["ready", "stopping", "schema-older", "no-database"] as const;

/** One of them. */
export type Readiness = (typeof READINESS)[number];

/** Watches over an instance's readiness. */
export class Health {
  readonly #tools: HealthTools;
  readonly #instance: string;
  #isStopping = false;
  #readAt: Monotonic | undefined;

  constructor(tools: HealthTools, instance: string) {
    this.#tools = tools;
    this.#instance = instance;
  }

  /** From now on it is not ready. */
  beginStop(): void {
    this.#isStopping = true;
  }

  /** Whether the balancer may send requests here, or why not. */
  readiness(): Readiness {
    const { clock, schema } = this.#tools;
    if (this.#canRead()) this.#readAt = clock.monotonic();
    if (this.#isStopping) return "stopping";
    if (schema.state === "older") return "schema-older";
    if (this.#readAt === undefined || !schema.isThere) return "no-database";
    return clock.monotonic() - this.#readAt < READY_GRACE_MS ? "ready" : "no-database";
  }

  /** Whether a request can be answered from the database's tables: not from one that was restored to an older schema. */
  get isSchemaOlder(): boolean {
    return this.#tools.schema.state === "older";
  }

  /** For people. */
  report(): HealthReport {
    const { main, other, redis, writes, schema } = this.#tools;
    const fits = schema.state !== "older";
    const canRead = fits && this.#canRead();
    const canWrite = fits && main.view === "primary";
    const isRedisGood = redis === undefined || redis.answers;
    const isOtherGood = other === undefined || other.view === "replica" || other.view === "primary";
    return {
      status: canRead ? (canWrite && isRedisGood && isOtherGood ? "ok" : "degraded") : "down",
      instance: this.#instance,
      can_read: canRead,
      can_write: canWrite,
      dependencies: {
        database: { status: main.view, schema: schema.state },
        reads: { status: other?.view ?? "none" },
        redis: { status: redis === undefined ? "none" : redis.answers ? "ok" : "away" },
      },
      writes_waiting: writes.waiting,
    };
  }

  #canRead(): boolean {
    return [this.#tools.main, this.#tools.other].some((way) => way?.view === "primary" || way?.view === "replica");
  }
}
