/**
 * Reads `lifeboat.yaml` into the texts of settings, with the line and column of each.
 *
 * Invariants: nothing is decided about values here; a scalar keeps the text it was written with (`0755` stays `0755`);
 * an unknown key is a problem that names the nearest key; reading goes on after a problem, so that all are told.
 */
import { isAlias, isMap, isScalar, LineCounter, type Node, type Pair, parseDocument } from "yaml";
import { nearestName } from "./nearest-name.ts";
import type { ConfigProblem } from "./problem.ts";
import { SECTION_NAMES, SETTING_ROWS, type SectionName } from "./schema.ts";

/** A value as it stands in the file. */
export type FileValue = { readonly path: string; readonly text: string; readonly where: string };

/** What a file says. */
export type FileContent = { readonly values: readonly FileValue[]; readonly problems: readonly ConfigProblem[] };

type Reading = {
  readonly where: (node: unknown) => string;
  readonly values: FileValue[];
  readonly problems: ConfigProblem[];
};

/** A file that is no YAML can be wrong in every line. */
const ERRORS_MAX = 20;

/** Reads the text of a configuration file; `name` is how messages call it. Never throws. */
export function readConfigText(yaml: string, name: string): FileContent {
  const lines = new LineCounter();
  const document = parseDocument(yaml, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  const reading: Reading = {
    where: (node) => place(hasRange(node) ? node.range[0] : 0),
    values: [],
    problems: document.errors.slice(0, ERRORS_MAX).map((error) => ({
      path: "file",
      where: place(error.pos[0]),
      message: `is not readable as YAML: ${lowerFirst(error.message)}`,
    })),
  };
  const root = document.contents;
  if (isMap(root)) for (const pair of root.items) readSection(pair, reading);
  else if (root !== null && reading.problems.length === 0) {
    reading.problems.push({
      path: "file",
      where: reading.where(root),
      message: "must hold sections such as `server:`",
    });
  }
  return reading;
}

function readSection(pair: Pair, reading: Reading): void {
  const name = keyOf(pair);
  const section = SECTION_NAMES.find((each) => each === name);
  if (section === undefined) {
    reading.problems.push({ path: name, where: reading.where(pair.key), message: unknownSection(name) });
    return;
  }
  if (isMap(pair.value)) for (const inner of pair.value.items) readSetting(section, inner, reading);
  else if (!isEmpty(pair.value)) {
    const message = `must hold settings such as \`${firstSetting(section)}:\`, indented under it`;
    reading.problems.push({ path: name, where: reading.where(pair.value), message });
  }
}

function readSetting(section: SectionName, pair: Pair, reading: Reading): void {
  const name = keyOf(pair);
  const path = `${section}.${name}`;
  const row = SETTING_ROWS.find((each) => each.path === path);
  if (row === undefined) {
    reading.problems.push({ path, where: reading.where(pair.key), message: unknownSetting(section, name) });
    return;
  }
  const { value } = pair;
  if (isEmpty(value)) {
    reading.problems.push({ path, where: reading.where(pair.key), message: "has no value" });
  } else if (isScalar(value)) {
    reading.values.push({ path, text: scalarText(value), where: reading.where(value) });
  } else {
    const what = isAlias(value) ? "an alias" : "a list or a section";
    reading.problems.push({ path, where: reading.where(value), message: `must be a single value, is ${what}` });
  }
}

function unknownSection(name: string): string {
  const row = SETTING_ROWS.find((each) => each.name === name);
  const meant = nearestName(name, SECTION_NAMES) ?? row?.path;
  return meant === undefined
    ? `is not a section; the sections are ${SECTION_NAMES.join(", ")}`
    : `is not a section; did you mean ${meant}?`;
}

function unknownSetting(section: SectionName, name: string): string {
  if (section === "vault" && name === "passphrase") {
    return "is not a setting: a passphrase is never written here; use passphraseFile or passphraseCommand";
  }
  const rows = SETTING_ROWS.filter((each) => each.section === section);
  const elsewhere = SETTING_ROWS.find((each) => each.name === name);
  const near = nearestName(
    name,
    rows.map((each) => each.name),
  );
  const meant = elsewhere?.path ?? (near === undefined ? undefined : `${section}.${near}`);
  return meant === undefined
    ? `is not a setting; ${section} has ${rows.map((each) => each.name).join(", ")}`
    : `is not a setting; did you mean ${meant}?`;
}

function firstSetting(section: SectionName): string {
  return SETTING_ROWS.find((each) => each.section === section)?.name ?? "";
}

function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
}

// The written text: YAML would turn a user named 0123 into a number.
function scalarText(node: Node & { readonly value: unknown; readonly source?: string }): string {
  return typeof node.value === "string" ? node.value : (node.source ?? String(node.value));
}

function isEmpty(value: unknown): boolean {
  return value === null || value === undefined || (isScalar(value) && value.value === null);
}

function hasRange(node: unknown): node is { readonly range: readonly [number, number, number] } {
  return typeof node === "object" && node !== null && "range" in node && Array.isArray(node.range);
}

function lowerFirst(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}
