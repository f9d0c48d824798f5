/** What is written of requests, long after them: counts of calls, searches and clicks. */
import type { Clock } from "../../src/platform/clock.ts";
import { Loop } from "../../src/platform/loop.ts";
import { WriteNotDone, type Writes, writeLongestMs } from "../database/writes.ts";

/** More than an instance is asked in the time between two batches, and what fits in memory when there is no primary for long. */
const EVENTS_MAX = 10_000;
const EVERY_MS = 5_000;
/** A batch that cannot be written soon is tried again with the next. */
const LIMITS = { deadlineMs: 2_000, attemptMs: 2_000 };

/** What writing them may take. */
export const USAGE_LONGEST_MS = writeLongestMs(LIMITS);
const QUERY_LENGTH_MAX = 200;
const HOUR_MS = 3_600_000;

type Search = { readonly key: number; readonly query: string; readonly results: number; readonly at: string };
type Click = { readonly key: number; readonly product: number; readonly at: string };

/** Bounded: what does not fit is counted and forgotten. */
export class UsageBuffer {
  dropped = 0;
  readonly #tools: { readonly clock: Clock; readonly writes: Pick<Writes, "run"> };
  readonly #loop = new Loop(async (signal) => {
    await this.#tools.clock.sleep(EVERY_MS, { signal }).catch(() => undefined);
    if (!signal.aborted) await this.#flush();
  });
  #calls = new Map<string, number>();
  #searches: Search[] = [];
  #clicks: Click[] = [];

  constructor(tools: { readonly clock: Clock; readonly writes: Pick<Writes, "run"> }) {
    this.#tools = tools;
  }

  /** A key was used. */
  called(key: number, operation: string): void {
    const hour = Math.floor(this.#tools.clock.now() / HOUR_MS) * HOUR_MS;
    const name = `${key} ${hour} ${operation}`;
    const count = this.#calls.get(name);
    if (count === undefined && this.#calls.size >= EVENTS_MAX) this.dropped += 1;
    else this.#calls.set(name, (count ?? 0) + 1);
  }

  /** Something was searched for. */
  searched(key: number, query: string, results: number): void {
    if (this.#searches.length >= EVENTS_MAX) this.dropped += 1;
    else this.#searches.push({ key, query: storable(query), results, at: this.#now() });
  }

  /** A product was clicked on. */
  clicked(key: number, product: number): void {
    if (this.#clicks.length >= EVENTS_MAX) this.dropped += 1;
    else this.#clicks.push({ key, product, at: this.#now() });
  }

  /** Begins to write now and then. */
  start(): void {
    this.#loop.start();
  }

  /** Writes what is left, if there is a primary. */
  async stop(): Promise<void> {
    await this.#loop.stop();
    await this.#flush();
  }

  /** A batch that may or may not be there is not written again: these are counts, not money. */
  async #flush(): Promise<void> {
    const calls = this.#calls;
    const searches = this.#searches;
    const clicks = this.#clicks;
    if (calls.size + searches.length + clicks.length === 0) return;
    this.#calls = new Map();
    this.#searches = [];
    this.#clicks = [];
    try {
      await this.#tools.writes.run(
        async (session) => {
          await session.query(FLUSH_SQL, [
            JSON.stringify(callsOf(calls)),
            JSON.stringify(searches),
            JSON.stringify(clicks),
          ]);
        },
        { repeatable: false, ...LIMITS },
      );
    } catch (error) {
      if (error instanceof WriteNotDone && error.reason !== "unknown") this.#takeBack(calls, searches, clicks);
      // Losing them costs a number in a report; the next batch must not be held up by them.
      else this.dropped += calls.size + searches.length + clicks.length;
    }
  }

  /** What was not written goes with the next batch, before what came since. */
  #takeBack(calls: ReadonlyMap<string, number>, searches: readonly Search[], clicks: readonly Click[]): void {
    const merged = new Map(calls);
    for (const [name, count] of this.#calls) merged.set(name, (merged.get(name) ?? 0) + count);
    const kept = [...merged].slice(0, EVENTS_MAX);
    const allSearches = [...searches, ...this.#searches];
    const allClicks = [...clicks, ...this.#clicks];
    this.#calls = new Map(kept);
    this.#searches = allSearches.slice(0, EVENTS_MAX);
    this.#clicks = allClicks.slice(0, EVENTS_MAX);
    const count = merged.size + allSearches.length + allClicks.length;
    this.dropped += count - kept.length - this.#searches.length - this.#clicks.length;
  }

  #now(): string {
    return new Date(this.#tools.clock.now()).toISOString();
  }
}

/** As much of a query as is kept, in a form that the database takes: one that it refuses would take the whole batch with it. */
function storable(query: string): string {
  return query
    .slice(0, QUERY_LENGTH_MAX)
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, " ");
}

function callsOf(calls: ReadonlyMap<string, number>): readonly object[] {
  return [...calls].map(([name, count]) => {
    const [key = "0", hour = "0", operation = ""] = name.split(" ");
    return { key: Number(key), hour: new Date(Number(hour)).toISOString(), operation, count };
  });
}

/**
 * And what is due to be forgotten: idempotency keys after a day. Keys in their order, so that two instances never wait for each other in a circle.
 * What an instance dates later than now, by a clock that is ahead, was now: else it would be of the last day for as long, and never old enough to go.
 */
const FLUSH_SQL = `with called as (
  insert into api_usage as u (api_key_id, hour, operation, calls)
  select key, least(hour, date_bin('1 hour', now(), 'epoch')), operation, sum(count)::bigint
  from jsonb_to_recordset($1::jsonb) as c(key bigint, hour timestamptz, operation text, count bigint)
  group by 1, 2, 3 order by 1, 2, 3
  on conflict (api_key_id, hour, operation) do update set calls = u.calls + excluded.calls
), searched as (
  insert into search_history (api_key_id, query, results, searched_at)
  select key, query, results, least(at, now()) from jsonb_to_recordset($2::jsonb) as s(key bigint, query text, results integer, at timestamptz)
), clicked as (
  insert into clicks (api_key_id, product_id, clicked_at)
  select key, product, least(at, now()) from jsonb_to_recordset($3::jsonb) as c(key bigint, product bigint, at timestamptz)
), forgotten as (
  delete from idempotency_keys where ctid = any(array(
    select ctid from idempotency_keys where created_at < now() - interval '1 day' limit 500 for update skip locked))
), used as (
  select key, max(hour) as hour from jsonb_to_recordset($1::jsonb) as c(key bigint, hour timestamptz) group by key
)
update api_keys k set last_used_at = now() from (
  select id from api_keys where id in (select key from used) and (last_used_at is null or last_used_at < now() - interval '1 minute')
  order by id for update skip locked) as due where k.id = due.id`;
