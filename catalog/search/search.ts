/** Searching: one statement, and a second try with mended words when nothing is found. */
import { rowsToJson, textOf } from "../database/json-rows.ts";
import type { Reads } from "../database/reads.ts";
import { encodeCursor } from "./cursor.ts";
import { SORT_KEYS, type Sort } from "./sort.ts";
import { type AskedWord, mend, SPELLING_SQL, wordsOf } from "./spelling.ts";
import { CANDIDATES_MAX, type Search, searchStatement } from "./statement.ts";

/** What a search came to. */
export type Found = {
  /** The page, as a JSON array between two texts. */
  readonly items: (before: string, behind: string) => Buffer;
  readonly count: number;
  /** Of the first page; at most CANDIDATES_MAX. */
  readonly total: number | undefined;
  readonly isTotalExact: boolean;
  readonly nextCursor: string | undefined;
  /** JSON. */
  readonly facets: string;
  /** The words that were searched for instead. */
  readonly didYouMean: string | undefined;
};

/** What the statement gives beside a product's columns, if it does. */
const ASIDE = new Set(["score", "total", "facets"]);

/** Searches; items have these fields and their id, or all. Rejects as the database does. */
export async function findProducts(reads: Reads, search: Search, fields?: readonly string[]): Promise<Found> {
  const found = await run(reads, search, fields);
  const { text } = search;
  if (found.count === 0) await refuseStrangeCurrency(reads, search);
  if (found.count > 0 || text === undefined || text.kind !== "web" || search.cursor !== undefined) return found;
  const words = wordsOf(text.value);
  if (words.length === 0) return found;
  const { rows } = await reads.read(SPELLING_SQL, [words]);
  const mended = mend(rows.map(askedWordOf));
  if (mended === undefined) return found;
  const again = await run(
    reads,
    { ...search, text: { kind: "words", value: mended.query, title: mended.text } },
    fields,
  );
  return again.count === 0 ? found : { ...again, didYouMean: mended.text };
}

/** A currency that has no rate: nothing can be found in it, whatever is offered. */
export class NoRate extends Error {
  readonly currency: string;
  constructor(currency: string) {
    super(`there is no rate for ${currency}`);
    this.currency = currency;
  }
}

async function refuseStrangeCurrency(reads: Reads, { convertTo, filters }: Search): Promise<void> {
  const asked = [convertTo, filters.currency].filter((each) => each !== undefined && each !== "SGD");
  if (asked.length === 0) return;
  const { rows } = await reads.read(
    "select a.code from unnest($1::text[]) as a(code) where not exists (select from exchange_rates where currency = a.code)",
    [asked],
  );
  const [strange] = rows;
  if (strange !== undefined) throw new NoRate(String(strange["code"]));
}

function isOfProduct(name: string): boolean {
  return !ASIDE.has(name);
}

async function run(reads: Reads, search: Search, fields: readonly string[] | undefined): Promise<Found> {
  const { columns, rows } = await reads.readRaw(searchStatement(search));
  const page = rows.length > search.limit ? rows.slice(0, search.limit) : rows;
  const [first] = rows;
  const last = page.at(-1);
  const ofFirst = (name: string): string | null => (first === undefined ? null : textOf(columns, first, name));
  const isShown =
    fields === undefined
      ? isOfProduct
      : (name: string) => isOfProduct(name) && (name === "id" || fields.includes(name));
  // Behind the last one nothing tells how many there were.
  const isTold = search.cursor === undefined && (first !== undefined || (search.offset ?? 0) === 0);
  const total = isTold ? Number(ofFirst("total") ?? 0) : undefined;
  const isMore = rows.length > search.limit && last !== undefined;
  return {
    items: (before, behind) => rowsToJson({ columns, rows: page }, isShown, { before, behind }),
    count: page.length,
    total: total === undefined ? undefined : Math.min(total, CANDIDATES_MAX),
    isTotalExact: total === undefined || total <= CANDIDATES_MAX,
    nextCursor: isMore ? cursorBehind(search.sort, (name) => textOf(columns, last, name)) : undefined,
    facets: ofFirst("facets") ?? "null",
    didYouMean: undefined,
  };
}

function cursorBehind(sort: Sort, last: (name: string) => string | null): string {
  return encodeCursor({ sort, value: last(SORT_KEYS[sort].column) ?? "", id: Number(last("id")) });
}

function askedWordOf(row: Readonly<Record<string, unknown>>): AskedWord {
  const near = Array.isArray(row["near"]) ? row["near"].map(String) : [];
  return { word: String(row["word"]), isKnown: row["is_known"] === true, near };
}
