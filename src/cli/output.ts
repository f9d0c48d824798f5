/** Writes results: text for people, one JSON value for programs. */
import { formatLsn, type Lsn } from "../postgres/lsn.ts";
import type { VerbResult } from "./verb.ts";

/** A stream of text. `columns` is the width of the terminal, a default elsewhere. */
export interface Sink {
  readonly isTerminal: boolean;
  readonly columns: number;
  write(text: string): void;
  /** Resolves when all of it is out: false where nobody takes it. Not there: it is out as soon as it is written. */
  flushed?(): Promise<boolean>;
}

/** Writes a result. JSON is one line, indented on a terminal; LSNs (bigint) are written as PostgreSQL prints them. */
export function writeResult(result: VerbResult, stdout: Sink, format: "text" | "json"): void {
  if (format === "json") {
    if (result.json !== undefined) stdout.write(`${toJson(result.json, stdout.isTerminal ? 2 : 0)}\n`);
  } else if (result.text !== "") stdout.write(`${result.text}\n`);
}

/** Writes a part of a result: a line of text, or of JSON. */
export function writePart(part: VerbResult, stdout: Sink, format: "text" | "json"): void {
  stdout.write(`${format === "json" ? toJson(part.json, 0) : part.text}\n`);
}

/** A value as JSON; a bigint is an LSN. */
export function toJson(value: unknown, indent: number): string {
  return JSON.stringify(
    value,
    (_, each: unknown) => (typeof each === "bigint" ? formatLsn(each as Lsn) : each),
    indent,
  );
}
