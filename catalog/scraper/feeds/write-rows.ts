/**
 * Rows to the text of a feed: for generated feeds and for tests of what reads them.
 */
import type { FeedFormat } from "./feed.ts";
import { GOOGLE_NAMESPACE } from "./google-xml.ts";

/** One row as it will be written: names to texts. Texts that XML cannot hold (control characters) must not be in it. */
export type WrittenRow = Readonly<Record<string, string>>;

/** What is written around and as the rows. `columns` are the names a delimited format has, in this order. */
export type FeedText = { readonly head: string; row(row: WrittenRow): string; readonly tail: string };

/** How a feed of this format is written; `title` is the merchant's name. */
export function feedText(
  format: FeedFormat,
  feed: { readonly title: string; readonly columns: readonly string[] },
): FeedText {
  switch (format) {
    case "google-xml":
      return {
        head: `<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" xmlns:g="${GOOGLE_NAMESPACE}">\n<channel>\n<title>${escapeXml(feed.title)}</title>\n`,
        row: (row) =>
          `<item>\n${Object.entries(row)
            .map(([name, text]) => xmlField(name, text))
            .join("")}</item>\n`,
        tail: "</channel>\n</rss>\n",
      };
    case "google-tsv":
      return delimited("\t", "\n", feed.columns);
    case "csv":
      return delimited(",", "\r\n", feed.columns);
    case "ndjson":
      return { head: "", row: (row) => `${JSON.stringify(row)}\n`, tail: "" };
  }
}

function delimited(delimiter: string, lineEnd: string, columns: readonly string[]): FeedText {
  const field = (text: string): string =>
    /["\r\n\t,]/.test(text) || text.trim() !== text ? `"${text.replaceAll('"', '""')}"` : text;
  const line = (texts: readonly string[]): string => texts.map(field).join(delimiter) + lineEnd;
  return { head: line(columns), row: (row) => line(columns.map((name) => row[name] ?? "")), tail: "" };
}

function xmlField(name: string, text: string): string {
  return `<g:${name}>${escapeXml(text)}</g:${name}>\n`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\r", "&#13;");
}
