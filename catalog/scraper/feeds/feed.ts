/**
 * Merchants' feeds: files or pages that list what a merchant sells.
 *
 * Nouns: a *feed* is a run of bytes in one *format*; a *row* is what it says of one offer, as names and texts, nothing
 * understood yet; a *broken row* is one that cannot be read while the rows around it can; an *offer* is a row that was
 * understood and found right (offer.ts); a *rejection* is a row that was not, with its reason; a *validator* is what a
 * server gave with a feed so that it can say later "unchanged" (http-feed.ts).
 * Invariants: memory is bounded by one chunk and one row, whatever the feed's size; where chunks are cut changes nothing;
 * a parser raises nothing but an error of feed-error.ts; every row is either an offer or a counted rejection, none is lost in silence.
 */

/** How a feed is written. Google's two are those of its Merchant Center. */
export const FEED_FORMATS = ["google-xml", "google-tsv", "ndjson", "csv"] as const;

/** One of the formats. */
export type FeedFormat = (typeof FEED_FORMATS)[number];

/** Names and texts of one row; names as `fieldName` makes them. */
export type Fields = ReadonlyMap<string, string>;

/** Why one row cannot be read. */
export type Broken = "row-malformed" | "row-too-long" | "columns-differ";

/** What a parser found. `number` counts the rows of the feed from 1, broken ones too. */
export type FeedRow =
  | { readonly kind: "row"; readonly number: number; readonly fields: Fields }
  | { readonly kind: "broken"; readonly number: number; readonly reason: Broken };

/** A parser that is fed text and tells of each row as soon as it is whole. */
export interface RowParser {
  /** Raises the errors of feed-error.ts; after that the parser is of no use. */
  write(text: string): void;
  /** Says that nothing follows. Raises the errors of feed-error.ts where something had to. */
  end(): void;
}

/** Told of each row, in the feed's order. */
export type RowSink = (row: FeedRow) => void;

/** Characters of one row: Google's longest description has 5,000, a row of all its fields about 20,000. */
export const ROW_CHARACTERS_MAX = 128 * 1024;

/** Fields of one row: Google's specification has about a hundred. */
export const ROW_FIELDS_MAX = 256;

/** A feed with more rows is refused: the largest merchant has a tenth of it, and the rest would not fit a run's time. */
export const FEED_ROWS_MAX = 2_000_000;

/** A name as we compare it: lower case, `image link` and `Image-Link` and `g:image_link` are all `image_link`. */
export function fieldName(written: string): string {
  return written
    .trim()
    .toLowerCase()
    .replace(/^g:/, "")
    .replaceAll(/[\s-]+/g, "_");
}
