/** Answers from the nearest place that has them: this process, redis, the database; an old one when there is no other. */
import { assert } from "../../src/errors/error.ts";
import type { Clock } from "../../src/platform/clock.ts";
import {
  type Copy,
  type CopyTimes,
  copyOf,
  decodeCopy,
  encodeCopy,
  isFresh,
  isUsable,
  type MemoryCopies,
} from "./copies.ts";
import type { Redis } from "./redis.ts";

/** An answer and what is to be said of it. */
export type Answered = {
  readonly copy: Copy;
  readonly from: "memory" | "redis" | "database";
  /** Older than it should be, since nothing newer was to be had. */
  readonly isStale: boolean;
};

/** What was made of the database: JSON in UTF-8, and by how much the server was behind that it is from. */
export type Loaded = { readonly body: Buffer; readonly behindMs: number };

/** How often each place had it. */
export type AnswerCounts = { memory: number; redis: number; database: number; stale: number; joined: number };

/** Who has an old copy waits so long for a new one: a database that hangs must not make them wait for its limit. */
const PATIENCE_MS = 700;

const REDIS_PREFIX = "lifeboat:answer:1:";

/** See copies.ts. */
export class Answers {
  readonly counts: AnswerCounts = { memory: 0, redis: 0, database: 0, stale: 0, joined: 0 };
  readonly #tools: {
    readonly clock: Clock;
    readonly memory: MemoryCopies;
    readonly redis: Redis | undefined;
  };
  /** What callers wait for, and what the database was asked for. */
  readonly #loading = new Map<string, Promise<Answered>>();
  readonly #newest = new Map<string, Promise<Answered>>();

  constructor(tools: {
    readonly clock: Clock;
    readonly memory: MemoryCopies;
    readonly redis: Redis | undefined;
  }) {
    this.#tools = tools;
  }

  /**
   * The answer of a key, which `load` makes where there is no fresh copy. Rejects as `load` does when it fails and
   * there is no copy within its hard time, and for refusals of the request, which `isFinal` tells.
   */
  async get(
    key: string,
    {
      times,
      load,
      isFinal,
    }: {
      readonly times: CopyTimes;
      readonly load: () => Promise<Loaded>;
      readonly isFinal: (error: unknown) => boolean;
    },
  ): Promise<Answered> {
    const copy = this.#tools.memory.get(key);
    if (copy !== undefined && isFresh(copy, this.#tools.clock.now())) {
      this.counts.memory += 1;
      return { copy, from: "memory", isStale: false };
    }
    const underWay = this.#loading.get(key);
    if (underWay !== undefined) {
      this.counts.joined += 1;
      return await underWay;
    }
    const loading = this.#load(key, { times, load, isFinal, old: copy });
    this.#loading.set(key, loading);
    try {
      return await loading;
    } finally {
      this.#loading.delete(key);
    }
  }

  async #load(
    key: string,
    {
      times,
      load,
      isFinal,
      old,
    }: {
      readonly times: CopyTimes;
      readonly load: () => Promise<Loaded>;
      readonly isFinal: (error: unknown) => boolean;
      readonly old: Copy | undefined;
    },
  ): Promise<Answered> {
    const { clock, memory, redis } = this.#tools;
    const encoded = await redis?.get(REDIS_PREFIX + key);
    const shared = encoded === undefined ? undefined : decodeCopy(encoded);
    if (shared !== undefined && isFresh(shared, clock.now())) {
      memory.put(key, shared);
      this.counts.redis += 1;
      return { copy: shared, from: "redis", isStale: false };
    }
    const [spare] = [shared, old]
      .filter((copy) => copy !== undefined)
      .filter((copy) => isUsable(copy, clock.now()))
      .toSorted((one, other) => other.madeAt - one.madeAt);
    const loading = this.#loadOnce(key, times, load);
    try {
      const loaded = spare === undefined ? await loading : await this.#soon(loading);
      if (loaded !== undefined && !(spare !== undefined && isOlder(loaded, spare))) return loaded;
    } catch (error) {
      if (isFinal(error) || spare === undefined) throw error;
    }
    assert(spare !== undefined, "only who has a copy is impatient");
    this.counts.stale += 1;
    return { copy: spare, from: spare === old ? "memory" : "redis", isStale: true };
  }

  /** A load outlives whoever lost patience with it, and who comes later waits for the same one. */
  async #loadOnce(key: string, times: CopyTimes, load: () => Promise<Loaded>): Promise<Answered> {
    const underWay = this.#newest.get(key);
    if (underWay !== undefined) return await underWay;
    const loading = this.#loadNew(key, times, load).finally(() => this.#newest.delete(key));
    this.#newest.set(key, loading);
    return await loading;
  }

  async #loadNew(key: string, times: CopyTimes, load: () => Promise<Loaded>): Promise<Answered> {
    const { clock, memory, redis } = this.#tools;
    const { body, behindMs } = await load();
    this.counts.database += 1;
    const copy = copyOf(body, { now: clock.now() - behindMs, times });
    // From a replica that has not followed for long: there was nothing newer, and soon there may be.
    if (!isFresh(copy, clock.now())) {
      this.counts.stale += 1;
      return { copy, from: "database", isStale: true };
    }
    memory.put(key, copy);
    // Not waited for: the answer is here.
    void redis?.set(REDIS_PREFIX + key, encodeCopy(copy), copy.usableUntil - clock.now());
    return { copy, from: "database", isStale: false };
  }

  /** What is loaded, if it is soon; what comes later is kept for whoever asks next. */
  async #soon(loading: Promise<Answered>): Promise<Answered | undefined> {
    const over = new AbortController();
    loading.catch(() => undefined);
    const late = this.#tools.clock.sleep(PATIENCE_MS, { signal: over.signal }).then(
      () => undefined,
      () => undefined,
    );
    try {
      return await Promise.race([loading, late]);
    } finally {
      over.abort();
    }
  }
}

/** A replica may be further behind than what was kept. */
function isOlder(loaded: Answered, spare: Copy): boolean {
  return loaded.isStale && loaded.copy.madeAt < spare.madeAt;
}
