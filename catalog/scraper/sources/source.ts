/**
 * Who reads which merchant, and when.
 *
 * Nouns: a *source* is a merchant's feed with its place, its interval and its priority; its *slot* is the due time that a run
 * answers; a *claim* is the right to run one source: a token in the database, and a deadline by this process's own clock; a
 * *history* is a line of the database's past: restore and promotion both begin a new one; a source's *host* is the server that
 * is asked, of which one source at a time is read.
 * Invariants (the schema's page, 0003-sources.ts, says why they hold over a failover and a restore): no two runs of one source
 * at the same time; no effect of a run whose token the database does not hold; a slot that was finished is not run again; a
 * run that was cut is repeated with its slot.
 */
import type { FeedFormat } from "../feeds/feed.ts";

/** A source as a run needs it. */
export type Source = {
  readonly id: string;
  readonly name: string;
  readonly format: FeedFormat;
  readonly location: string;
  readonly merchant: string | undefined;
  readonly countryCode: string | undefined;
  readonly currency: string | undefined;
  readonly intervalMs: number;
  readonly failureCount: number;
  /** Slugs of the merchants under whom offers of it may stand: first the one that it has now. */
  readonly merchantSlugs: readonly [string, ...string[]];
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
};

/** What of a description goes into every offer, and where they come from: what was read of another one says nothing of this. */
export function descriptionOf({
  format,
  location,
  merchant,
  countryCode,
  currency,
}: Pick<Source, "format" | "location" | "merchant" | "countryCode" | "currency">): string {
  return JSON.stringify([format, location, merchant ?? null, countryCode ?? null, currency ?? null]);
}

/** The right to run a source. */
export type Claim = {
  readonly source: Source;
  readonly token: string;
  /** Counts the grants of this source; for people. */
  readonly epoch: string;
  /** The slot as the database writes it, microseconds and all. */
  readonly slotAt: string;
  /** The record of the run. */
  readonly runId: string;
};

/** How long a claim lasts without being renewed: longer than a failover, so that a run rides through one. */
export const LEASE_MS = 45_000;

/** Between two readings of one host. */
export const HOST_GAP_MS = 2_000;
