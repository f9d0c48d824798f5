/**
 * Reads the file of the stack's own invariants (`proof.invariantsFile`): a YAML list.
 *
 * Each has a `name`, a `database`, and one of `noRows` (SQL that returns what is wrong) and `isTrue` (SQL that returns true).
 */
import { parse } from "yaml";
import { z } from "zod";
import { LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";

/** An invariant as it was written. */
export type WrittenInvariant = {
  readonly name: string;
  readonly database: string;
  readonly expect: "no-rows" | "is-true";
  readonly sql: string;
};

const text = z.string().trim().min(1);
const common = { name: text, database: text };
const fileSchema = z.array(
  z.union([z.strictObject({ ...common, noRows: text }), z.strictObject({ ...common, isTrue: text })]),
);

/** A thousand invariants; of some texts that are none, a megabyte keeps the reader of YAML busy for half an hour. */
const CHARACTERS_MAX = 256 * 1024;

/** Reads the text of the file called `name`. Throws `proof.invariants-unreadable`. */
export function parseInvariants(yaml: string, name: string): readonly WrittenInvariant[] {
  if (yaml.length > CHARACTERS_MAX) {
    throw unreadable(`${name} has ${yaml.length} characters, more than ${CHARACTERS_MAX}`);
  }
  let written: z.output<typeof fileSchema>;
  try {
    written = fileSchema.parse(parse(yaml, { logLevel: "error" }) ?? []);
  } catch (cause) {
    const why = cause instanceof z.ZodError ? placesOf(cause) : errorText(cause);
    throw unreadable(`${name} is not a list of invariants: ${why}`, cause);
  }
  const names = written.map((each) => each.name);
  const twice = names.find((each, index) => names.indexOf(each) !== index);
  if (twice !== undefined) throw unreadable(`${name} has two invariants called "${twice}"`);
  return written.map((each) =>
    "noRows" in each
      ? { name: each.name, database: each.database, expect: "no-rows", sql: each.noRows }
      : { name: each.name, database: each.database, expect: "is-true", sql: each.isTrue },
  );
}

/** The error of a file that cannot be used. */
function unreadable(message: string, cause?: unknown): LifeboatError {
  return new LifeboatError("proof.invariants-unreadable", {
    message,
    remedy: "Give each a name, a database, and SQL under either noRows or isTrue; docs/operating.md has an example.",
    cause,
  });
}

function placesOf(error: z.ZodError): string {
  const places = error.issues.map(({ path }) => (path.length === 0 ? "the whole" : `entry ${Number(path[0]) + 1}`));
  return `${[...new Set(places)].join(", ")} cannot be understood`;
}
