/**
 * Bytes of a feed to its rows, whatever its format.
 */
import { DelimitedParser } from "./delimited.ts";
import type { FeedFormat, FeedRow, RowParser, RowSink } from "./feed.ts";
import { feedError } from "./feed-error.ts";
import { GoogleXmlParser } from "./google-xml.ts";
import { NdjsonParser } from "./ndjson.ts";

/**
 * Text is handed to a parser in pieces of at most this many bytes, and rows are handed on after each: so many rows are in
 * memory at most as fit in it.
 */
const PIECE_BYTES = 64 * 1024;

/** The rows of a feed, in groups that came out of one piece of it. Raises the errors of feed-error.ts; what `chunks` raises passes through. */
export async function* readRows(
  chunks: AsyncIterable<Uint8Array>,
  format: FeedFormat,
): AsyncGenerator<readonly FeedRow[]> {
  let found: FeedRow[] = [];
  const parser = parserOf(format, (row) => found.push(row));
  // The mark at the beginning is for the parsers: inside the text it is a character like others.
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.byteLength; from += PIECE_BYTES) {
      parser.write(decoded(() => decoder.decode(chunk.subarray(from, from + PIECE_BYTES), { stream: true })));
      if (found.length === 0) continue;
      yield found;
      found = [];
    }
  }
  parser.write(decoded(() => decoder.decode()));
  parser.end();
  if (found.length > 0) yield found;
}

function parserOf(format: FeedFormat, sink: RowSink): RowParser {
  switch (format) {
    case "google-xml":
      return new GoogleXmlParser(sink);
    case "google-tsv":
      return new DelimitedParser("\t", sink);
    case "csv":
      return new DelimitedParser(",", sink);
    case "ndjson":
      return new NdjsonParser(sink);
  }
}

function decoded(decode: () => string): string {
  try {
    return decode();
  } catch (cause) {
    throw feedError("feed.not-text", "the feed has bytes that are no UTF-8", { cause });
  }
}
