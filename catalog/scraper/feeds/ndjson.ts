/**
 * One JSON object a line. A line that is none is a broken row, the lines around it are not.
 *
 * Numbers and booleans become texts, a list its members with ` > ` between them (a category path), an object within its
 * members under `name.member`; deeper ones are left out: no field that we read lies there.
 */
import { FEED_ROWS_MAX, fieldName, ROW_CHARACTERS_MAX, ROW_FIELDS_MAX, type RowParser, type RowSink } from "./feed.ts";
import { feedError } from "./feed-error.ts";

/** Reads NDJSON. */
export class NdjsonParser implements RowParser {
  readonly #sink: RowSink;
  #line = "";
  /** The line is too long; what is left of it is passed over. */
  #skipping = false;
  #first = true;
  #number = 0;

  constructor(sink: RowSink) {
    this.#sink = sink;
  }

  write(text: string): void {
    let from = 0;
    if (this.#first && text.length > 0) {
      this.#first = false;
      if (text.startsWith("\ufeff")) from = 1;
    }
    for (let end = text.indexOf("\n", from); end >= 0; end = text.indexOf("\n", from)) {
      this.#take(text.slice(from, end));
      this.#endLine();
      from = end + 1;
    }
    this.#take(text.slice(from));
  }

  end(): void {
    this.#endLine();
  }

  #take(text: string): void {
    if (this.#skipping) return;
    if (this.#line.length + text.length > ROW_CHARACTERS_MAX) {
      this.#skipping = true;
      this.#line = "";
    } else this.#line += text;
  }

  #endLine(): void {
    const line = this.#line;
    const tooLong = this.#skipping;
    this.#line = "";
    this.#skipping = false;
    if (!tooLong && line.trim() === "") return;
    this.#number += 1;
    if (this.#number > FEED_ROWS_MAX) throw feedError("feed.too-large", `the feed has more than ${FEED_ROWS_MAX} rows`);
    const fields = tooLong ? undefined : objectFields(line);
    if (fields !== undefined) this.#sink({ kind: "row", number: this.#number, fields });
    else this.#sink({ kind: "broken", number: this.#number, reason: tooLong ? "row-too-long" : "row-malformed" });
  }
}

function objectFields(line: string): ReadonlyMap<string, string> | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return undefined;
  const fields = new Map<string, string>();
  const members: Readonly<Record<string, unknown>> = { ...parsed };
  for (const [key, value] of Object.entries(members)) {
    const name = fieldName(key);
    const text = textOf(value);
    if (text !== undefined) set(fields, name, text);
    else if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      for (const [inner, member] of Object.entries<unknown>({ ...value }))
        set(fields, `${name}.${fieldName(inner)}`, textOf(member));
    }
    if (fields.size > ROW_FIELDS_MAX) return undefined;
  }
  return fields;
}

/** Two keys that are one name to us: the first one counts. */
function set(fields: Map<string, string>, name: string, text: string | undefined): void {
  if (text !== undefined && text !== "" && !fields.has(name)) fields.set(name, text);
}

function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (!Array.isArray(value)) return undefined;
  const texts = value.map((member) => (Array.isArray(member) ? undefined : textOf(member)));
  return texts.every((text) => text !== undefined) ? texts.join(" > ") : undefined;
}
