/** Brings a database to the newest schema. */
import { createHash } from "node:crypto";
import { LifeboatError } from "../../src/errors/error.ts";
import { inTransaction, type Session } from "../database/session.ts";
import type { Migration } from "./migration.ts";

/** What was found and done, by number. */
export type Migrated = { readonly before: readonly number[]; readonly applied: readonly number[] };

/** Any program of the service asks for this one. */
const LOCK = "select pg_advisory_xact_lock(hashtextextended('lifeboat catalogue schema', 0))";

const RECORDS = `create table if not exists schema_migrations (
  number integer primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default now()
)`;

/**
 * Applies what is missing, each migration in a transaction of its own; running it again does nothing. Waits while another
 * program does the same. Rejects before anything is applied with `catalog.migration-changed` when an applied one says something
 * else now, and `catalog.migration-unknown` when the database is ahead of these.
 */
export async function migrate(
  session: Session,
  migrations: readonly Migration[],
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Migrated> {
  let before: readonly number[] | undefined;
  const applied: number[] = [];
  for (;;) {
    signal?.throwIfAborted();
    const next = await inTransaction(session, async () => {
      await session.query(LOCK);
      const records = await recordsOf(session);
      before ??= [...records.keys()];
      refuseOthers(records, migrations);
      const missing = migrations.find(({ number }) => !records.has(number));
      if (missing === undefined) return undefined;
      await session.query(missing.sql);
      await session.query("insert into schema_migrations (number, name, checksum) values ($1, $2, $3)", [
        missing.number,
        missing.name,
        checksumOf(missing),
      ]);
      return missing.number;
    });
    if (next === undefined) return { before: before ?? [], applied };
    applied.push(next);
  }
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

function refuseOthers(records: Records, migrations: readonly Migration[]): void {
  for (const [number, { name, checksum }] of records) {
    const ours = migrations.find((each) => each.number === number);
    if (ours === undefined) {
      throw new LifeboatError("catalog.migration-unknown", {
        message: `the database has migration ${number} (${name}), this program knows ${migrations.length}`,
        remedy: "Run the version of the service that the database was last used with, or a newer one.",
      });
    }
    if (checksumOf(ours) !== checksum) {
      throw new LifeboatError("catalog.migration-changed", {
        message: `migration ${number} (${name}) was applied with checksum ${checksum}, and is ${checksumOf(ours)} now`,
        remedy: "An applied migration never changes: put its text back, and say the change in a new one.",
      });
    }
  }
}
