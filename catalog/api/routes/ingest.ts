/** The API's way in for offers. */
import { z } from "zod";
import type { Session } from "../../database/session.ts";
import { ingestBatch, openRun } from "../../ingest/ingest.ts";
import { BATCH_ROWS_MAX, REJECTION_CODES } from "../../ingest/row.ts";
import { storableText } from "../../ingest/storable.ts";
import type { Caller } from "../../keys/key.ts";
import { ApiProblem } from "../problems.ts";
import { read, write } from "../route.ts";

const counts = {
  run_id: z.string(),
  source: z.string(),
  status: z.enum(["running", "succeeded", "partial", "failed"]),
  received: z.int(),
  inserted: z.int(),
  updated: z.int(),
  unchanged: z.int(),
  rejected: z.int(),
  price_changes: z.int(),
};

const rejectionSchema = z.object({
  row: z.int().describe("From 1, as they came."),
  sku: z.string().nullable(),
  code: z.enum(REJECTION_CODES),
  message: z.string(),
});

const ingestedSchema = z.object({ ...counts, rejections: z.array(rejectionSchema) });

/**
 * A hundred calls of a thousand offers each are a catalogue of this size ten times an hour; a partner that tells of each change as it
 * comes has room for a hundred a second.
 */
const INGEST_CALLS_MAX = { free: 60, live: 100, partner: 6_000 } as const;

/** A thousand offers with long descriptions. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;

/** Routes of this file. */
export const INGEST_ROUTES = [
  write({
    method: "POST",
    path: "/v1/ingest/products",
    operation: "ingestProducts",
    summary: "Writes up to a thousand offers of a source; bad rows are told one by one and the others are taken.",
    scope: "ingest",
    callsMax: INGEST_CALLS_MAX,
    bodyBytesMax: BODY_BYTES_MAX,
    status: 200,
    // Offers are known by sku and source: the second time they are unchanged.
    isNatural: true,
    body: z.object({
      source: storableText(128).trim().min(1),
      products: z.array(z.unknown()).min(1).max(BATCH_ROWS_MAX),
    }),
    answer: ingestedSchema,
    act: async (session, { body }, { caller }) => {
      const { source } = body;
      const isTaken = await takeSource(session, source, caller);
      const runId = await openRun(session, {
        source,
        origin: "api",
        apiKeyId: caller?.id === 0 ? undefined : String(caller?.id),
      });
      const rows = body.products.map((value, index) => ({ rowNumber: index + 1, value: withMerchant(value, source) }));
      const { written, rejections } = await ingestBatch(session, { source, runId, rows, isLast: true });
      // A batch of which nothing is written is not the source's beginning.
      if (isTaken && written.length === 0) await session.query("delete from source_owners where source = $1", [source]);
      const counted = (outcome: (typeof written)[number]["outcome"]): number =>
        written.filter((row) => row.outcome === outcome).length;
      return {
        run_id: runId,
        source,
        status: rejections.length === 0 ? "succeeded" : "partial",
        received: rows.length,
        inserted: counted("inserted"),
        updated: counted("updated"),
        unchanged: counted("unchanged"),
        rejected: rejections.length,
        price_changes: written.filter((row) => row.priceChanged).length,
        rejections: rejections.map(({ rowNumber, sku, code, message }) => ({ row: rowNumber, sku, code, message })),
      };
    },
  }),
  read({
    method: "GET",
    path: "/v1/ingest/runs/:id",
    operation: "getIngestionRun",
    summary: "What became of a run, with its rejections.",
    params: z.object({ id: z.uuid() }),
    answer: ingestedSchema.extend({ started_at: z.string(), finished_at: z.string().nullable() }),
    times: { softMs: 2_000, hardMs: 60_000 },
    load: async (reads, { params }) => {
      const { rows } = await reads.read(
        `select id as run_id, source, status, received, inserted, updated, unchanged, rejected, price_changes, started_at, finished_at,
           (select coalesce(jsonb_agg(jsonb_build_object('row', row_number, 'sku', sku, 'code', code, 'message', message)
             order by row_number), '[]') from ingestion_rejections where run_id = r.id) as rejections
         from ingestion_runs r where id = $1`,
        [params.id],
      );
      const [run] = rows;
      if (run === undefined) throw new ApiProblem("RUN_NOT_FOUND");
      return run;
    },
  }),
];

/**
 * Refuses a source that another one writes. What a feed does not list is withdrawn, and what it lists is written anew: two
 * writers would undo each other. A source that is nobody's is the key's from now on, and true says so; the operator writes any, and takes
 * none.
 */
async function takeSource(session: Session, source: string, caller: Caller | undefined): Promise<boolean> {
  let owner = await ownerOf(session, source);
  const id = caller?.id ?? 0;
  if (id <= 0) return false;
  const isFree = owner === undefined;
  if (owner === undefined) {
    // A key that is being rotated takes nothing: what it had is moved to the new one then, and this would be left behind.
    await session.query(
      `insert into source_owners (source, api_key_id)
       select $1, id from api_keys where id = $2 and revoked_at is null for share on conflict do nothing`,
      [source, id],
    );
    // Another one may have been first.
    owner = await ownerOf(session, source);
    if (owner === undefined) throw new ApiProblem("REVOKED_API_KEY");
  }
  if (owner !== id) throw new ApiProblem("INSUFFICIENT_SCOPE", `the source ${source} is another key's`);
  return isFree;
}

/** The key that a source belongs to; undefined for nobody's. Throws for one of a feed. */
async function ownerOf(session: Session, source: string): Promise<number | undefined> {
  const { rows } = await session.query(
    `select exists (select from sources where name = $1) as is_fed,
       (select api_key_id from source_owners where source = $1) as owner`,
    [source],
  );
  if (rows[0]?.["is_fed"] === true)
    throw new ApiProblem("INSUFFICIENT_SCOPE", `the source ${source} is written by its feed alone`);
  const owner = rows[0]?.["owner"];
  return owner === null || owner === undefined ? undefined : Number(owner);
}

/** A row without a merchant is its source's. */
function withMerchant(value: unknown, source: string): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value) || "merchant" in value) return value;
  return { ...value, merchant: source };
}
