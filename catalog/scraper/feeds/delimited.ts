/**
 * Rows with a delimiter between their fields: CSV (RFC 4180) and Google's TSV.
 *
 * Line ends may be LF, CRLF or CR. A quote opens a quoted field only where the field begins; elsewhere it is a character, as
 * in `24" monitor`. Blank lines are no rows. The first row names the columns.
 */
import {
  type Broken,
  FEED_ROWS_MAX,
  fieldName,
  ROW_CHARACTERS_MAX,
  ROW_FIELDS_MAX,
  type RowParser,
  type RowSink,
} from "./feed.ts";
import { feedError } from "./feed-error.ts";

/** Where in a record the parser is: each a state of its own, so that a chunk may end anywhere. */
type Mode =
  /** Before the first character of a field. */
  | "field-start"
  /** In a field without quotes. */
  | "plain"
  | "quoted"
  /** Behind a quote in a quoted field: the field's end, or the first half of a quote that belongs to it. */
  | "quote-in-quoted";

/** Reads CSV or TSV. */
export class DelimitedParser implements RowParser {
  readonly #delimiter: string;
  readonly #sink: RowSink;
  readonly #special: RegExp;
  #mode: Mode = "field-start";
  #field = "";
  #record: string[] = [];
  #recordCharacters = 0;
  #malformed = false;
  /** The last character was a CR that ended a record: an LF right behind it belongs to it. */
  #afterReturn = false;
  #first = true;
  #header: readonly string[] | undefined;
  #number = 0;

  constructor(delimiter: "," | "\t" | ";", sink: RowSink) {
    this.#delimiter = delimiter;
    this.#sink = sink;
    this.#special = new RegExp(`[${delimiter}\r\n]`, "g");
  }

  write(text: string): void {
    let at = 0;
    if (this.#first && text.length > 0) {
      this.#first = false;
      if (text.startsWith("\ufeff")) at = 1;
    }
    while (at < text.length) at = this.#mode === "quoted" ? this.#quoted(text, at) : this.#unquoted(text, at);
  }

  end(): void {
    if (this.#mode === "quoted") {
      throw feedError("feed.malformed", `row ${this.#number + 1} opens a quote that the feed never closes`);
    }
    if (this.#record.length > 0 || this.#mode !== "field-start") this.#endRecord();
    if (this.#header === undefined)
      throw feedError("feed.header-wrong", "the feed is empty: it has no line of column names");
  }

  /** Takes characters up to the next quote. */
  #quoted(text: string, from: number): number {
    const quote = text.indexOf('"', from);
    const to = quote < 0 ? text.length : quote;
    this.#take(text.slice(from, to));
    if (quote < 0) return to;
    this.#mode = "quote-in-quoted";
    return to + 1;
  }

  #unquoted(text: string, from: number): number {
    const sign = text[from] ?? "";
    if (this.#afterReturn) {
      this.#afterReturn = false;
      if (sign === "\n") return from + 1;
    }
    if (sign === '"' && this.#mode !== "plain") {
      // Two quotes in a quoted field are one that belongs to it.
      if (this.#mode === "quote-in-quoted") this.#take('"');
      this.#mode = "quoted";
      return from + 1;
    }
    if (sign === this.#delimiter) {
      this.#endField();
      return from + 1;
    }
    if (sign === "\n" || sign === "\r") {
      this.#afterReturn = sign === "\r";
      this.#endRecord();
      return from + 1;
    }
    // Text behind a closing quote: nobody knows what the field was meant to be.
    if (this.#mode === "quote-in-quoted") this.#malformed = true;
    this.#mode = "plain";
    this.#special.lastIndex = from;
    const to = this.#special.exec(text)?.index ?? text.length;
    this.#take(text.slice(from, to));
    return to;
  }

  #take(text: string): void {
    this.#recordCharacters += text.length;
    if (this.#recordCharacters > ROW_CHARACTERS_MAX) {
      throw feedError(
        "feed.row-too-long",
        `row ${this.#number + 1} has more than ${ROW_CHARACTERS_MAX} characters: look for a quote that is never closed`,
      );
    }
    this.#field += text;
  }

  #endField(): void {
    if (this.#record.length >= ROW_FIELDS_MAX) {
      throw feedError("feed.row-too-long", `row ${this.#number + 1} has more than ${ROW_FIELDS_MAX} fields`);
    }
    this.#record.push(this.#field);
    this.#field = "";
    this.#mode = "field-start";
  }

  #endRecord(): void {
    const blank = this.#record.length === 0 && this.#mode === "field-start";
    this.#endField();
    const record = this.#record;
    const malformed = this.#malformed;
    this.#record = [];
    this.#recordCharacters = 0;
    this.#malformed = false;
    if (blank) return;
    if (this.#header === undefined) this.#header = headerOf(record, malformed);
    else this.#tell(this.#header, record, malformed);
  }

  #tell(header: readonly string[], record: readonly string[], malformed: boolean): void {
    this.#number += 1;
    if (this.#number > FEED_ROWS_MAX) throw feedError("feed.too-large", `the feed has more than ${FEED_ROWS_MAX} rows`);
    const broken: Broken | undefined = malformed
      ? "row-malformed"
      : record.length === header.length
        ? undefined
        : "columns-differ";
    if (broken !== undefined) this.#sink({ kind: "broken", number: this.#number, reason: broken });
    else this.#sink({ kind: "row", number: this.#number, fields: fieldsOf(header, record) });
  }
}

function headerOf(record: readonly string[], malformed: boolean): readonly string[] {
  const names = record.map(fieldName);
  const wrong = names.find((name, index) => name === "" || names.indexOf(name) !== index);
  if (malformed || wrong !== undefined) {
    const why =
      wrong === undefined ? "is malformed" : wrong === "" ? "has a column without a name" : `names ${wrong} twice`;
    throw feedError("feed.header-wrong", `the line of column names ${why}`);
  }
  return names;
}

/** A field that is empty is one that the row does not have. */
function fieldsOf(header: readonly string[], record: readonly string[]): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const [index, name] of header.entries()) {
    const value = record[index] ?? "";
    if (value !== "") fields.set(name, value);
  }
  return fields;
}
