/** Takes the next source that is due, in one transaction. */
import type { Row, Session } from "../../database/session.ts";
import { openRun } from "../../ingest/ingest.ts";
import { slugOf } from "../../ingest/row.ts";
import { FEED_FORMATS } from "../feeds/feed.ts";
import { type Claim, descriptionOf, HOST_GAP_MS, LEASE_MS, type Source } from "./source.ts";

/** What a claim came to. */
export type Claimed =
  | { readonly kind: "claimed"; readonly claim: Claim }
  /** Nothing is due, or what is due is run by another or has its host busy. */
  | { readonly kind: "nothing-due" }
  /** The database has a new history: nothing is granted for so long. */
  | { readonly kind: "history-new"; readonly waitMs: number };

/**
 * Claims the source that is due and goes first. Call it in a transaction on the primary. `leaseMs` must be LEASE_MS outside
 * tests. Rejects as the database does.
 */
export async function claimNext(
  session: Session,
  {
    holder,
    leaseMs = LEASE_MS,
    hostGapMs = HOST_GAP_MS,
  }: { readonly holder: string; readonly leaseMs?: number | undefined; readonly hostGapMs?: number | undefined },
): Promise<Claimed> {
  // A server that is no primary says so here, and with the code that is waited for (25006).
  await session.query("select from database_histories limit 1 for update");
  // Claims take turns, so that two of them do not give away one host.
  await session.query("select pg_advisory_xact_lock(hashtextextended('scraper claims', 0))");
  const waitMs = await historyWait(session, leaseMs);
  if (waitMs > 0) return { kind: "history-new", waitMs };
  for (;;) {
    const { rows } = await session.query(DUE, [hostGapMs]);
    const [row] = rows;
    if (row === undefined) return { kind: "nothing-due" };
    const claim = await take(session, row, { holder, leaseMs });
    if (claim !== undefined) return { kind: "claimed", claim };
  }
}

/**
 * How long nothing may be claimed here. Every history of the database that somebody claims in is written down with the moment
 * from which on claims are granted: the longest lease after it was first seen, by when every run of the history before has
 * ended by its own clock. A database that was never claimed in and is on its first timeline has no history before.
 */
async function historyWait(session: Session, leaseMs: number): Promise<number> {
  const { rows } = await session.query(HISTORY, [leaseMs]);
  return Math.max(0, Number(rows[0]?.["wait_ms"] ?? 0));
}

/** The timeline of the WAL that is written now: the control file tells a promotion only at the checkpoint after it. */
const HISTORY = `with here as (
  select (select system_identifier::text from pg_control_system()) as system_id,
    ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int as timeline
), known as (
  insert into database_histories (system_id, timeline, claims_from)
  select system_id, timeline, clock_timestamp() + case
    when timeline = 1 and not exists (select from database_histories) then interval '0'
    else $1::float8 * interval '1 millisecond' end
  from here on conflict do nothing returning claims_from
)
select extract(epoch from claims_from - clock_timestamp()) * 1000 as wait_ms from known
union all
select extract(epoch from h.claims_from - clock_timestamp()) * 1000
from database_histories h join here using (system_id, timeline)`;

/** The host of an address; null for files and what is generated. */
const HOST = "lower(substring(s.location from '(?i)^https?://(?:[^/@]*@)?([^/:?#]+)'))";
const host = (alias: string): string => HOST.replace("s.", `${alias}.`);

/**
 * What is due, by priority. A due time further away than any schedule puts it comes from a clock that was wrong, and counts as
 * due: else the source would wait for years.
 */
const DUE = `select s.*, s.next_due_at::text as slot_at, (extract(epoch from s.interval) * 1000)::float8 as interval_ms
from sources s left join source_leases l on l.source_id = s.id
where s.is_enabled and (l.source_id is null or l.expires_at <= clock_timestamp())
  and (s.next_due_at <= clock_timestamp()
    or s.next_due_at > clock_timestamp() + 2 * greatest(s.interval, interval '1 day'))
  and not exists (
    select from sources o left join source_leases ol on ol.source_id = o.id
    where o.id <> s.id and ${host("o")} = ${host("s")}
      and (ol.expires_at > clock_timestamp()
        or o.last_started_at between clock_timestamp() - $1::float8 * interval '1 millisecond' and clock_timestamp()))
order by s.priority, s.next_due_at, s.id limit 1 for update of s`;

/** Takes one; undefined when its slot was finished before, and the source is now due later. */
async function take(
  session: Session,
  row: Row,
  { holder, leaseMs }: { readonly holder: string; readonly leaseMs: number },
): Promise<Claim | undefined> {
  const source = sourceOf(row);
  const slotAt = String(row["slot_at"]);
  const grant = await session.query(GRANT, [source.id, holder, leaseMs]);
  const token = String(grant.rows[0]?.["token"]);
  const slot = await session.query(SLOT, [source.id, slotAt, token, holder]);
  if (slot.rows.length === 0) {
    await session.query(PASS_OVER, [source.id]);
    return undefined;
  }
  // The run that had this slot and was cut: it will say no more of itself.
  await session.query(
    "update ingestion_runs set status = 'failed', error = 'cut', finished_at = clock_timestamp() where id = $1 and status = 'running'",
    [slot.rows[0]?.["cut_run"] ?? null],
  );
  const runId = await openRun(session, { source: source.name, origin: "scheduler" });
  await session.query("update source_runs set run_id = $3 where source_id = $1 and slot_at = $2::timestamptz", [
    source.id,
    slotAt,
    runId,
  ]);
  await session.query(STARTED, [source.id, source.merchantSlugs, source.etag ?? null, source.lastModified ?? null]);
  return { source, token, epoch: String(grant.rows[0]?.["epoch"]), slotAt, runId };
}

const GRANT = `insert into source_leases as l (source_id, epoch, token, holder, granted_at, expires_at)
values ($1, 1, gen_random_uuid(), $2, clock_timestamp(), clock_timestamp() + $3::float8 * interval '1 millisecond')
on conflict (source_id) do update set epoch = l.epoch + 1, token = excluded.token, holder = excluded.holder,
  granted_at = excluded.granted_at, expires_at = excluded.expires_at
returning token, epoch::text`;

/** Takes the slot, also from a run that was cut; a finished one stays as it is and gives no row. */
const SLOT = `with cut as (
  select run_id from source_runs where source_id = $1 and slot_at = $2::timestamptz and finished_at is null
)
insert into source_runs as r (source_id, slot_at, token, holder) values ($1, $2::timestamptz, $3, $4)
on conflict (source_id, slot_at) do update
  set token = excluded.token, holder = excluded.holder, started_at = clock_timestamp(), run_id = null
  where r.finished_at is null
returning (select run_id from cut) as cut_run`;

/**
 * With what the run goes by: a merchant is written down before an offer stands under it, and validators of another description
 * are gone for good, also when the description is put back after a part was written.
 */
const STARTED = `update sources set last_started_at = clock_timestamp(), merchant_slugs = $2::text[], etag = $3, last_modified = $4
where id = $1`;

const PASS_OVER = `with over as (
  update sources set next_due_at = clock_timestamp() + interval where id = $1
)
update source_leases set expires_at = clock_timestamp() where source_id = $1`;

function sourceOf(row: Row): Source {
  const text = (name: string): string | undefined => (typeof row[name] === "string" ? row[name] : undefined);
  const format = FEED_FORMATS.find((each) => each === row["kind"]);
  const described = {
    format: format ?? "csv",
    location: String(row["location"]),
    merchant: text("merchant"),
    countryCode: text("country_code"),
    currency: text("currency"),
  };
  const isReadSo = row["read_as"] === descriptionOf(described);
  const name = String(row["name"]);
  const slug = slugOf(described.merchant ?? name);
  const before: readonly unknown[] = Array.isArray(row["merchant_slugs"]) ? row["merchant_slugs"] : [];
  return {
    ...described,
    id: String(row["id"]),
    name,
    intervalMs: Number(row["interval_ms"]),
    failureCount: Number(row["failure_count"]),
    merchantSlugs: [slug, ...before.map(String).filter((each) => each !== slug)],
    etag: isReadSo ? text("etag") : undefined,
    lastModified: isReadSo ? text("last_modified") : undefined,
  };
}
