/** What a run may do while it holds its claim: renew it, act under it, finish. */
import { LifeboatError } from "../../../src/errors/error.ts";
import type { Session } from "../../database/session.ts";
import { closeRun } from "../../ingest/ingest.ts";
import type { Validators } from "../feeds/fetched.ts";
import { receivedOf } from "./record.ts";
import { type Claim, descriptionOf, LEASE_MS } from "./source.ts";

/** How a run ended. */
export type RunEnd =
  | {
      readonly kind: "read";
      readonly validators: Validators;
      /** Rows of it. */
      readonly received: number;
      /** Slugs of the merchants under whom offers of the source may stand still. */
      readonly merchantSlugs: readonly string[];
    }
  | { readonly kind: "unchanged" }
  /** Stopped on request: the source is due again at once. */
  | { readonly kind: "stopped" }
  | { readonly kind: "failed"; readonly error: string };

/**
 * Holds the claim for the rest of this transaction, and renews it: the first statement of everything that a run does. Nobody
 * can take the source over before the commit. Rejects with `scraper.claim-lost` when the database does not hold the token, or
 * says that its time is over.
 */
export async function holdClaim(session: Session, claim: Claim, leaseMs = LEASE_MS): Promise<void> {
  const { rows } = await session.query(
    `update source_leases set expires_at = clock_timestamp() + $3::float8 * interval '1 millisecond'
     where source_id = $1 and token = $2 and expires_at > clock_timestamp() returning 1`,
    [claim.source.id, claim.token, leaseMs],
  );
  if (rows.length === 0) throw claimLost(claim);
}

/**
 * Rejects with `scraper.claim-lost` when the database has fewer rows of the run than the run was told are written: a failover that lost
 * them has left the claim of before. Who went on would withdraw them as unlisted, and not read the feed again until it changes.
 * Resolves to whether there are more: a commit of this run was done, and its answer lost.
 */
export async function holdReceived(session: Session, claim: Claim, received: number): Promise<boolean> {
  const there = await receivedOf(session, claim.runId);
  if (there < received) throw claimLost(claim, `it has ${there} of ${received} rows of its run`);
  return there > received;
}

/** Ends a run: its record, when the source is due next, and the claim. The same transaction must not hold anything else. */
export async function finishRun(
  session: Session,
  claim: Claim,
  { end, nextDueMs }: { readonly end: RunEnd /** From now. */; readonly nextDueMs: number },
): Promise<void> {
  const { source, token, slotAt, runId } = claim;
  const done = await session.query(FINISHED, [source.id, slotAt, token]);
  // The commit before this one was done, and its answer lost: written anew, so that this one waits for who confirms it (rule B11).
  if (done.rows.length > 0) return;
  await holdClaim(session, claim);
  if (end.kind === "read") await holdReceived(session, claim, end.received);
  await closeRun(session, runId, end.kind === "failed" ? end.error : end.kind === "stopped" ? "stopped" : undefined);
  const read = end.kind === "read" ? end.validators : undefined;
  await session.query(SOURCE_AFTER, [
    source.id,
    nextDueMs,
    end.kind,
    end.kind === "failed" ? end.error : null,
    read?.etag ?? null,
    read?.lastModified ?? null,
    end.kind === "read" ? end.merchantSlugs : null,
    descriptionOf(source),
  ]);
  if (end.kind === "stopped") {
    await session.query("delete from source_runs where source_id = $1 and slot_at = $2::timestamptz", [
      source.id,
      slotAt,
    ]);
  } else {
    await session.query(
      "update source_runs set finished_at = clock_timestamp(), outcome = $3 where source_id = $1 and slot_at = $2::timestamptz",
      [source.id, slotAt, end.kind],
    );
  }
  await session.query("update source_leases set expires_at = clock_timestamp() where source_id = $1", [source.id]);
}

const FINISHED = `update source_runs set finished_at = finished_at
where source_id = $1 and slot_at = $2::timestamptz and token = $3 and finished_at is not null returning 1`;

/**
 * After a failure the validators stay: what was read before is still what is in the catalogue. They are those of the description that
 * the run went by, and not of one that was given meanwhile.
 */
const SOURCE_AFTER = `update sources set
  next_due_at = case when $3 = 'stopped' then next_due_at else clock_timestamp() + $2::float8 * interval '1 millisecond' end,
  failure_count = case $3 when 'failed' then failure_count + 1 when 'stopped' then failure_count else 0 end,
  last_succeeded_at = case when $3 in ('read', 'unchanged') then clock_timestamp() else last_succeeded_at end,
  last_error = case $3 when 'stopped' then last_error else $4 end,
  etag = case when $3 = 'read' then $5 else etag end,
  last_modified = case when $3 = 'read' then $6 else last_modified end,
  merchant_slugs = case when $3 = 'read' then $7::text[] else merchant_slugs end,
  read_as = case when $3 = 'read' then $8 else read_as end
where id = $1`;

function claimLost(claim: Claim, why?: string): LifeboatError {
  const because = why === undefined ? "" : `: ${why}`;
  return new LifeboatError("scraper.claim-lost", {
    message: `the database does not hold claim ${claim.epoch} of source ${claim.source.name} any more${because}`,
    remedy: "Nothing: the source is run again by whoever has claimed it, or when it is due.",
  });
}
