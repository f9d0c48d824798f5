/** What answering requests needs. */
import type { Clock } from "../../src/platform/clock.ts";
import type { RandomSource } from "../../src/platform/random.ts";
import type { Answers } from "../cache/answers.ts";
import type { Redis } from "../cache/redis.ts";
import type { HedgedReads } from "../database/reads.ts";
import type { Way } from "../database/way.ts";
import type { Writes } from "../database/writes.ts";
import type { KnownKeys } from "../keys/known-keys.ts";
import type { Limits } from "../keys/limits.ts";
import type { Metrics } from "./metrics.ts";
import type { UsageBuffer } from "./usage.ts";

/** The parts of an instance. */
export type ApiTools = {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly main: Way;
  readonly other: Way | undefined;
  readonly redis: Redis | undefined;
  readonly reads: HedgedReads;
  readonly writes: Writes;
  readonly answers: Answers;
  readonly keys: KnownKeys;
  readonly limits: Limits;
  readonly usage: UsageBuffer;
  readonly metrics: Metrics;
};
