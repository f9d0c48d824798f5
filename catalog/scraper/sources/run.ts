/** One run of a source: gets the feed, judges its rows, writes them in batches under the claim. */
import { isLifeboatError, LifeboatError } from "../../../src/errors/error.ts";
import { errorText } from "../../../src/errors/error-text.ts";
import { type Clock, throwIfAborted } from "../../../src/platform/clock.ts";
import type { Files } from "../../../src/platform/files.ts";
import type { RandomSource } from "../../../src/platform/random.ts";
import type { Session } from "../../database/session.ts";
import { type BatchOutcome, ingestBatch } from "../../ingest/ingest.ts";
import type { FeedRow } from "../feeds/feed.ts";
import { feedError } from "../feeds/feed-error.ts";
import { expanded, type FetchedFeed } from "../feeds/fetched.ts";
import { fetchFile } from "../feeds/file-feed.ts";
import { fetchHttp } from "../feeds/http-feed.ts";
import { judgeRow } from "../feeds/offer.ts";
import { readRows } from "../feeds/read-rows.ts";
import { feedOf } from "../generated/feed-of.ts";
import { GENERATION } from "../generated/generated.ts";
import { MERCHANTS } from "../generated/merchants.ts";
import { finishRun, holdClaim, holdReceived, type RunEnd } from "./hold.ts";
import { nextDueMs } from "./next-due.ts";
import { type RejectedRow, rejectRows, seenOf } from "./record.ts";
import { type Claim, LEASE_MS } from "./source.ts";
import { withdrawUnseen } from "./withdraw.ts";

/** Transactions on the primary, which wait for one and are tried again: catalog/database/writes.ts. */
export interface Transactions {
  run<T>(
    work: (session: Session) => Promise<T>,
    options: { readonly repeatable: boolean; readonly deadlineMs?: number },
  ): Promise<T>;
}

/** What a run needs. */
export type RunTools = {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly files: Files;
  readonly transactions: Transactions;
  /** Where `file:` sources lie. */
  readonly feedsFolder: string;
  /** How often the generated merchants' prices move. */
  readonly generatedRunMs: number;
  readonly articleCount?: number | undefined;
  readonly leaseMs?: number | undefined;
  readonly batchRows?: number | undefined;
};

/** What a run did, by rows. */
export type RunCounts = {
  inserted: number;
  updated: number;
  unchanged: number;
  priceChanges: number;
  withdrawn: number;
  /** Nothing was withdrawn, because nothing told that the end of what came was the feed's. */
  endUntold: boolean;
  readonly rejected: Map<string, number>;
};

/** What a run came to. */
export type RunResult = {
  readonly claim: Claim;
  readonly end: RunEnd | { readonly kind: "lost" };
  readonly counts: RunCounts;
};

/** Rows of one transaction: some ten milliseconds, and little is repeated after a failover. */
const BATCH_ROWS = 500;
/** A run renews its claim so often at least, whatever it waits for. */
const RENEWALS = 3;

/**
 * Runs a source to its end. Never rejects for what the feed or the database does: a run whose claim is lost says so and has
 * left nothing behind that its successor does not replace. The signal stops it between two batches.
 */
export async function runSource(
  tools: RunTools,
  claim: Claim,
  {
    begunAt,
    signal,
  }: { /** Monotonic, from before the claim was asked for. */ readonly begunAt: number; readonly signal: AbortSignal },
): Promise<RunResult> {
  const counts: RunCounts = {
    inserted: 0,
    updated: 0,
    unchanged: 0,
    priceChanges: 0,
    withdrawn: 0,
    endUntold: false,
    rejected: new Map(),
  };
  const keeper = new Keeper(tools, claim, { begunAt, signal });
  keeper.start();
  try {
    const end = await readSource(tools, claim, { keeper, counts, stopped: signal });
    await finish(tools, claim, { keeper, end, error: undefined });
    return { claim, end, counts };
  } catch (error) {
    if (keeper.isLost || isLifeboatError(error, "scraper.claim-lost")) return { claim, end: { kind: "lost" }, counts };
    const end: RunEnd = signal.aborted ? { kind: "stopped" } : { kind: "failed", error: textOf(error) };
    try {
      await finish(tools, claim, { keeper, end, error });
      return { claim, end, counts };
    } catch {
      // Neither the feed nor its end could be written: the claim runs out, and the slot is run again.
      return { claim, end: { kind: "lost" }, counts };
    }
  } finally {
    await keeper.stop();
  }
}

type Reading = { readonly keeper: Keeper; readonly counts: RunCounts; readonly stopped: AbortSignal };

async function readSource(tools: RunTools, claim: Claim, { keeper, counts, stopped }: Reading): Promise<RunEnd> {
  const { source } = claim;
  const feed = await fetchSource(tools, claim, keeper.signal);
  if (feed.kind === "unchanged") return { kind: "unchanged" };
  let batch: FeedRow[] = [];
  let received = 0;
  const write = async (): Promise<void> => {
    if (batch.length === 0) return;
    throwIfAborted(stopped, `reading ${source.name}`);
    await writeBatch(tools, claim, { keeper, counts, batch, received });
    received += batch.length;
    batch = [];
  };
  for await (const rows of readRows(feed.chunks, source.format)) {
    for (const row of rows) {
      batch.push(row);
      if (batch.length >= (tools.batchRows ?? BATCH_ROWS)) await write();
    }
  }
  await write();
  // Lines that end with their connection may be a part of the feed: what they list counts, and what they do not list says nothing.
  counts.endUntold = source.format !== "google-xml" && !feed.endIsTold();
  const { merchantSlugs } = source;
  if (counts.endUntold) return { kind: "read", validators: {}, received, merchantSlugs };
  const { transactions, leaseMs, batchRows: pageRows } = tools;
  const withdrawing = { transactions, leaseMs, pageRows, leftMs: () => keeper.leftMs, received };
  const { withdrawn, left } = await withdrawUnseen(withdrawing, claim);
  counts.withdrawn = withdrawn;
  return { kind: "read", validators: feed.validators, received, merchantSlugs: left };
}

async function fetchSource(tools: RunTools, { source }: Claim, signal: AbortSignal): Promise<FetchedFeed> {
  const { location } = source;
  const known = { etag: source.etag, lastModified: source.lastModified };
  if (location.startsWith("file:")) {
    return await fetchFile(tools.files, { folder: tools.feedsFolder, location, known, signal });
  }
  if (!location.startsWith("generated:")) return await fetchHttp(tools.clock, { location, known, signal });
  const merchant = MERCHANTS.find(({ name }) => `generated:${name}` === location);
  if (merchant === undefined) throw feedError("feed.place-wrong", `there is no generated merchant ${location}`);
  const run = Math.floor(tools.clock.now() / tools.generatedRunMs) % GENERATED_RUNS;
  const articleCount = tools.articleCount ?? GENERATION.articleCount;
  const etag = `"${GENERATION.seed}-${articleCount}-${run}"`;
  if (known.etag === etag) return { kind: "unchanged" };
  const chunks = expanded(feedOf(merchant, { ...GENERATION, articleCount, run }));
  return { kind: "changed", validators: { etag }, chunks, endIsTold: () => true };
}

/** Runs are numbered anew after so many: a price looks back over the runs before it. */
const GENERATED_RUNS = 10_000;

type Batch = Omit<Reading, "stopped"> & {
  readonly batch: readonly FeedRow[];
  /** Rows of the run before these. */
  readonly received: number;
};

async function writeBatch(tools: RunTools, claim: Claim, { keeper, counts, batch, received }: Batch): Promise<void> {
  const { source, runId } = claim;
  const judged = judge(tools, claim, batch);
  const outcome = await tools.transactions.run<Written | undefined>(
    async (session) => {
      await holdClaim(session, claim, tools.leaseMs);
      // The commit before this one was done, and its answer lost: its rows are counted.
      if (await holdReceived(session, claim, received)) return undefined;
      const seen = await seenOf(session, claim, [...judged.offers.keys()]);
      const again = [...judged.offers].filter(([sku]) => seen.has(sku));
      const rejected = [...judged.rejected, ...again.map(([sku, { rowNumber }]) => duplicate(rowNumber, sku))];
      await rejectRows(session, runId, rejected);
      const rows = [...judged.offers.values()].filter(({ value }) => !seen.has(value.sku));
      return { ...(await ingestBatch(session, { source: source.name, runId, rows })), rejected };
    },
    { repeatable: true, deadlineMs: keeper.leftMs },
  );
  for (const { outcome: became, priceChanged } of outcome?.written ?? []) {
    counts[became] += 1;
    if (priceChanged) counts.priceChanges += 1;
  }
  for (const { code } of [...(outcome?.rejected ?? []), ...(outcome?.rejections ?? [])]) {
    counts.rejected.set(code, (counts.rejected.get(code) ?? 0) + 1);
  }
}

/** What became of a batch, with the rows that were rejected before the ingest saw them. */
type Written = BatchOutcome & { readonly rejected: readonly RejectedRow[] };

function duplicate(rowNumber: number, sku: string): RejectedRow {
  return { rowNumber, sku, code: "id-duplicate" };
}

/** Offers by their sku. Whether a batch before had one the database says: a feed has more rows than we would remember. */
function judge(tools: RunTools, { source }: Claim, batch: readonly FeedRow[]) {
  const offers = new Map<string, { readonly rowNumber: number; readonly value: { readonly sku: string } }>();
  const rejected: RejectedRow[] = [];
  for (const row of batch) {
    const judged = judgeRow(row, { currency: source.currency, nowMs: tools.clock.now() });
    if (judged.kind === "rejected") {
      rejected.push({ rowNumber: row.number, sku: null, code: judged.reason });
      continue;
    }
    const { sku } = judged.offer;
    if (offers.has(sku)) {
      rejected.push(duplicate(row.number, sku));
      continue;
    }
    const value = { ...judged.offer, merchant: source.merchant ?? source.name, country_code: source.countryCode };
    offers.set(sku, { rowNumber: row.number, value });
  }
  return { offers, rejected };
}

async function finish(
  tools: RunTools,
  claim: Claim,
  { keeper, end, error }: { readonly keeper: Keeper; readonly end: RunEnd; readonly error: unknown },
): Promise<void> {
  const { source } = claim;
  const asked = isLifeboatError(error) ? error.details["retryAfterMs"] : undefined;
  const due = nextDueMs({
    intervalMs: source.intervalMs,
    failures: end.kind === "failed" ? source.failureCount + 1 : 0,
    retryAfterMs: typeof asked === "number" ? asked : undefined,
    chance: tools.random(4).readUInt32LE() / 2 ** 32,
  });
  await tools.transactions.run(async (session) => await finishRun(session, claim, { end, nextDueMs: due }), {
    repeatable: true,
    deadlineMs: keeper.leftMs,
  });
}

/** `code: message` of ours; what other errors say. */
function textOf(error: unknown): string {
  if (error instanceof LifeboatError) return `${error.code}: ${error.message}`;
  return errorText(error);
}

/** Renews a claim while its run goes on, and ends the run when the time of the last renewal is over by our own clock. */
class Keeper {
  readonly #tools: RunTools;
  readonly #claim: Claim;
  readonly #leaseMs: number;
  readonly #stop = new AbortController();
  readonly #ended = new AbortController();
  readonly #outer: AbortSignal;
  #validFrom: number;
  #renewing: Promise<void> = Promise.resolve();
  isLost = false;

  constructor(
    tools: RunTools,
    claim: Claim,
    { begunAt, signal }: { readonly begunAt: number; readonly signal: AbortSignal },
  ) {
    this.#tools = tools;
    this.#claim = claim;
    this.#leaseMs = tools.leaseMs ?? LEASE_MS;
    this.#validFrom = begunAt;
    this.#outer = signal;
  }

  /** Aborts what the run waits for: on request, and when the claim is lost. */
  get signal(): AbortSignal {
    return AbortSignal.any([this.#stop.signal, this.#outer]);
  }

  /** Of the claim's time, by our own clock. */
  get leftMs(): number {
    return Math.max(0, this.#validFrom + this.#leaseMs - this.#tools.clock.monotonic());
  }

  start(): void {
    this.#renewing = this.#renewOn();
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#renewing;
  }

  async #renewOn(): Promise<void> {
    const { clock, transactions } = this.#tools;
    const { signal } = this.#ended;
    while (!signal.aborted) {
      await clock.sleep(Math.min(this.#leaseMs / RENEWALS, this.leftMs), { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const askedAt = clock.monotonic();
      try {
        const deadlineMs = this.leftMs;
        if (deadlineMs > 0) {
          await transactions.run(async (session) => await holdClaim(session, this.#claim, this.#leaseMs), {
            repeatable: true,
            deadlineMs,
          });
          this.#validFrom = askedAt;
          continue;
        }
      } catch (error) {
        if (!isLifeboatError(error, "scraper.claim-lost") && this.leftMs > 0) continue;
      }
      if (signal.aborted) return;
      this.isLost = true;
      this.#stop.abort();
      return;
    }
  }
}
