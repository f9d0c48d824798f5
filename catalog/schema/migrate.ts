/** Brings a database to the newest schema. */
import { createHash } from "node:crypto";
import { LifeboatError } from "../../src/errors/error.ts";
import { inTransaction, type Session } from "../database/session.ts";
import { BuildBlocked, type Builders, buildIndexes } from "./indexes.ts";
import type { Migration } from "./migration.ts";

/** What was found and done, by number. */
export type Migrated = { readonly before: readonly number[]; readonly applied: readonly number[] };

/** Any program of the service asks for this one; again and again, since an index that is built would wait for who waits for it (indexes.ts). */
const LOCK = "select pg_try_advisory_xact_lock(hashtextextended('lifeboat catalogue schema', 0)) as is_ours";

const RECORDS = `create table if not exists schema_migrations (
  number integer primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default now()
)`;

/** Who waits for a table makes everybody wait who comes behind; so long nobody notices. */
const LOCK_TIMEOUT_MS = 1_000;
/** With the pauses between them half a minute: longer than any transaction of the service. */
const LOCK_TRIES = 20;
const LOCK_PAUSE_S = 0.5;
/** Another program migrates; it may be done soon. */
const OURS_PAUSE_S = 0.1;

/**
 * Applies what is missing, each migration in a transaction of its own; running it again does nothing. Waits while another
 * program does the same. A lock on a table is not waited for long at a time, but again and again; then it rejects with
 * `catalog.migration-blocked`. With `builders`, which are not the session, the indexes of a database that is in use are built beside
 * those who write. Rejects before anything is applied with `catalog.migration-changed` when an applied one says something
 * else now (but for a text that was never released, `earlier`), and `catalog.migration-unknown` when the database is ahead of these.
 */
export async function migrate(
  session: Session,
  migrations: readonly Migration[],
  {
    signal,
    lockTries = LOCK_TRIES,
    builders,
  }: {
    readonly signal?: AbortSignal | undefined;
    readonly lockTries?: number | undefined;
    readonly builders?: Builders | undefined;
  } = {},
): Promise<Migrated> {
  let before: readonly number[] | undefined;
  const applied: number[] = [];
  for (let tries = 1; ; ) {
    signal?.throwIfAborted();
    let isOurs = false;
    let missing: Migration | undefined;
    try {
      await inTransaction(session, async () => {
        isOurs = (await session.query(LOCK)).rows[0]?.["is_ours"] === true;
        if (!isOurs) return;
        const records = await recordsOf(session);
        before ??= [...records.keys()];
        refuseOthers(records, migrations);
        missing = migrations.find((each) => isMissing(each, records));
        if (missing === undefined) return;
        // Nobody writes into a database that had nothing.
        if (missing.indexesOnly !== true || builders === undefined || before.length === 0) {
          await apply(session, missing);
          return;
        }
        const waitsS = lockTries * (LOCK_TIMEOUT_MS / 1_000 + LOCK_PAUSE_S);
        await buildIndexes(builders, missing, { waitsS, signal });
        await record(session, missing);
      });
    } catch (error) {
      if (missing === undefined || !isBlocked(error)) throw error;
      if (tries >= lockTries || error instanceof BuildBlocked) throw await blockedError(session, missing, error);
      tries += 1;
      await session.query(`select pg_sleep(${LOCK_PAUSE_S})`);
      continue;
    }
    if (!isOurs) {
      await session.query(`select pg_sleep(${OURS_PAUSE_S})`);
      continue;
    }
    if (missing === undefined) return { before: before ?? [], applied };
    applied.push(missing.number);
    tries = 1;
  }
}

async function apply(session: Session, migration: Migration): Promise<void> {
  await session.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
  await session.query(migration.sql);
  await record(session, migration);
}

async function record(session: Session, migration: Migration): Promise<void> {
  await session.query(
    `insert into schema_migrations (number, name, checksum) values ($1, $2, $3)
     on conflict (number) do update set checksum = excluded.checksum, applied_at = excluded.applied_at`,
    [migration.number, migration.name, checksumOf(migration)],
  );
}

/** Its wait for others was given up. Source: PostgreSQL, "Error codes": lock_not_available. */
function isBlocked(error: unknown): boolean {
  if (error instanceof BuildBlocked) return true;
  return typeof error === "object" && error !== null && "code" in error && error.code === "55P03";
}

/** Who may hold it: whose transactions are the oldest. */
async function blockedError(session: Session, { number, name }: Migration, cause: unknown): Promise<LifeboatError> {
  const { rows } = await session.query(
    `select pid, round(extract(epoch from clock_timestamp() - xact_start)) as age_s, left(query, 80) as query
     from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
     order by xact_start limit 3`,
  );
  const holders = rows.map((row) => `process ${row["pid"]}, for ${row["age_s"]} s: ${row["query"]}`);
  return new LifeboatError("catalog.migration-blocked", {
    message: `migration ${number} (${name}) waits for others who use its table without a pause; the longest transactions: ${holders.join("; ") || "none now"}`,
    remedy: "End those transactions, or wait for them, and run `lifeboat up` again.",
    retryable: true,
    cause,
  });
}

/** The SHA-256 of its SQL, in hexadecimal. */
export function checksumOf({ sql }: Migration): string {
  return createHash("sha256").update(sql).digest("hex");
}

type Records = ReadonlyMap<number, { readonly name: string; readonly checksum: string }>;

async function recordsOf(session: Session): Promise<Records> {
  await session.query(RECORDS);
  const { rows } = await session.query("select number, name, checksum from schema_migrations order by number");
  return new Map(
    rows.map((row) => [Number(row["number"]), { name: `${row["name"]}`, checksum: `${row["checksum"]}` }]),
  );
}

function isMissing(migration: Migration, records: Records): boolean {
  const record = records.get(migration.number);
  return record === undefined || wasEarlier(migration, record.checksum);
}

function wasEarlier({ earlier }: Migration, checksum: string): boolean {
  return earlier?.includes(checksum) === true;
}

function refuseOthers(records: Records, migrations: readonly Migration[]): void {
  for (const [number, { name, checksum }] of records) {
    const ours = migrations.find((each) => each.number === number);
    if (ours === undefined) {
      throw new LifeboatError("catalog.migration-unknown", {
        message: `the database has migration ${number} (${name}), this program knows ${migrations.length}`,
        remedy: "Run the version of the service that the database was last used with, or a newer one.",
      });
    }
    if (checksumOf(ours) !== checksum && !wasEarlier(ours, checksum)) {
      throw new LifeboatError("catalog.migration-changed", {
        message: `migration ${number} (${name}) was applied with checksum ${checksum}, and is ${checksumOf(ours)} now`,
        remedy: "An applied migration never changes: put its text back, and say the change in a new one.",
      });
    }
  }
}
