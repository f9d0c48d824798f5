/**
 * What a pooler told its clients in a span of time, read from its log. Pure.
 *
 * Invariants: a line that is not understood counts for nothing; a log that begins only within the span says so. What a server told
 * clients itself, what its clients gave up waiting for, and who is connected past the pooler are in no log of its.
 * Source: PgBouncer 1.18 to 1.24, objects.c (`pooler error`), util.c (time and zone, which is the machine's).
 */
import type { Instant } from "../platform/clock.ts";
import { readPoolerAnswer } from "./pooler-answers.ts";

/** Errors of one kind. */
export type ClientErrors = {
  /** As of pooler-answers.ts. */
  readonly reason: string;
  /** `no`: what was asked for was certainly not done. */
  readonly executed: "no" | "perhaps";
  readonly count: number;
};

/** What was told. */
export type ToldClients = {
  /** Of each kind, the most frequent first. */
  readonly errors: readonly ClientErrors[];
  /** False: the log does not reach back to the beginning, and there may have been more. */
  readonly complete: boolean;
};

const TOLD = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d+) \S+ \[\d+\] WARNING C-\S+: ([^/]+)\/\S+ pooler error: (.*)$/;
const TIME = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d+) /;

/** The end of a pooler's log. */
export type LogEnd = {
  /** The oldest first. */
  readonly lines: readonly string[];
  /** There is no more of it. */
  readonly isAll: boolean;
};

/** Reads the logs of all poolers. */
export function clientErrorsIn(
  logs: readonly LogEnd[],
  span: { readonly database: string; readonly from: Instant; readonly to: Instant },
): ToldClients {
  const counts = new Map<string, ClientErrors>();
  for (const line of logs.flatMap(({ lines }) => lines)) {
    const [, day = "", time = "", database, words = ""] = TOLD.exec(line) ?? [];
    const at = instantOf(day, time);
    if (database !== span.database || at === undefined || at < span.from || at > span.to) continue;
    const answer = readPoolerAnswer(words);
    counts.set(answer.reason, { ...answer, count: (counts.get(answer.reason)?.count ?? 0) + 1 });
  }
  const errors = [...counts.values()].toSorted((a, b) => b.count - a.count || (a.reason < b.reason ? -1 : 1));
  return { errors, complete: logs.every((log) => log.isAll || reachesBackTo(log.lines, span.from)) };
}

function reachesBackTo(lines: readonly string[], from: Instant): boolean {
  for (const line of lines) {
    const [, day = "", time = ""] = TIME.exec(line) ?? [];
    const at = instantOf(day, time);
    if (at !== undefined) return at <= from;
  }
  return false;
}

/** Of the machine's own zone, which this process shares. */
function instantOf(day: string, time: string): Instant | undefined {
  const at = new Date(`${day}T${time}`).getTime();
  return Number.isNaN(at) ? undefined : (at as Instant);
}
