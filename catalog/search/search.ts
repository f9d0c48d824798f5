/** Searching: one statement, and a second try with mended words when nothing is found. */
import type { Reads } from "../database/reads.ts";
import { encodeCursor } from "./cursor.ts";
import { SORT_KEYS } from "./sort.ts";
import { type AskedWord, mend, SPELLING_SQL, wordsOf } from "./spelling.ts";
import { CANDIDATES_MAX, type Search, searchStatement } from "./statement.ts";

/** What a search came to. */
export type Found = {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** Of the first page; at most CANDIDATES_MAX. */
  readonly total: number | undefined;
  readonly isTotalExact: boolean;
  readonly nextCursor: string | undefined;
  readonly facets: unknown;
  /** The words that were searched for instead. */
  readonly didYouMean: string | undefined;
};

/** Searches. Rejects as the database does. */
export async function findProducts(reads: Reads, search: Search): Promise<Found> {
  const found = await run(reads, search);
  const { text } = search;
  if (found.rows.length > 0 || text === undefined || text.kind !== "web" || search.cursor !== undefined) return found;
  const words = wordsOf(text.value);
  if (words.length === 0) return found;
  const { rows } = await reads.read(SPELLING_SQL, [words]);
  const mended = mend(rows.map(askedWordOf));
  if (mended === undefined) return found;
  const again = await run(reads, { ...search, text: { kind: "words", value: mended.query } });
  return again.rows.length === 0 ? found : { ...again, didYouMean: mended.text };
}

async function run(reads: Reads, search: Search): Promise<Found> {
  const { text, values } = searchStatement(search);
  const { rows } = await reads.read(text, values);
  const page = rows.slice(0, search.limit);
  const [first] = rows;
  const last = page.at(-1);
  const hasMore = rows.length > search.limit && last !== undefined;
  const { column } = SORT_KEYS[search.sort];
  const value = last?.[column];
  const total = search.cursor !== undefined ? undefined : Number(first?.["total"] ?? 0);
  return {
    rows: page,
    total: total === undefined ? undefined : Math.min(total, CANDIDATES_MAX),
    isTotalExact: total === undefined || total <= CANDIDATES_MAX,
    nextCursor: hasMore
      ? encodeCursor({
          sort: search.sort,
          value: typeof value === "number" ? value : String(value),
          id: Number(last["id"]),
        })
      : undefined,
    facets: first?.["facets"] ?? null,
    didYouMean: undefined,
  };
}

function askedWordOf(row: Readonly<Record<string, unknown>>): AskedWord {
  const near = Array.isArray(row["near"]) ? row["near"].map(String) : [];
  return { word: String(row["word"]), isKnown: row["is_known"] === true, near };
}
