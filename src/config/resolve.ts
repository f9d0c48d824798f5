/**
 * Makes one configuration of all its sources; nouns and invariants are in schema.ts. Pure.
 */
import { nearestName } from "./nearest-name.ts";
import type { ConfigProblem } from "./problem.ts";
import { type Config, SECTION_NAMES, SETTING_ROWS, type SettingRow } from "./schema.ts";
import { environmentOf, flagOf, type Place } from "./setting.ts";
import { STARS } from "./value-kind.ts";
import type { FileContent } from "./yaml-file.ts";

/** Where a value came from. `where` names the exact place: `lifeboat.yaml:3:9`, `LIFEBOAT_SERVER_PORT`, `--server-port`. */
export type Source =
  | { readonly kind: "default" }
  | { readonly kind: "file" | "environment" | "flag"; readonly where: string };

/** A setting with its value. */
export type ResolvedRow = SettingRow & {
  /** Undefined when absent, and when the winning value is not accepted. */
  readonly value: unknown;
  /** The winning value as text, stars for a secret; undefined when absent. */
  readonly shown: string | undefined;
  readonly source: Source;
  /** The path of the alternative that is used in its stead; value and text are then absent. */
  readonly overriddenBy?: string;
};

/** What the sources say. Flags are keyed by the path of their setting. */
export type ConfigSources = {
  readonly file: (FileContent & { readonly folder: string }) | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly flags: Readonly<Record<string, string>>;
  readonly place: Place;
  /** Where relative paths in flags and variables start. */
  readonly workingFolder: string;
};

/** All settings, and what is wrong. */
export type Resolution = { readonly rows: readonly ResolvedRow[]; readonly problems: readonly ConfigProblem[] };

type Written = { readonly text: string; readonly folder: string; readonly source: Source & { readonly where: string } };

/** Resolves every setting: flag before environment before file before default. Never throws. */
export function resolveSettings(sources: ConfigSources): Resolution {
  const problems: ConfigProblem[] = [...(sources.file?.problems ?? []), ...unknownVariables(sources.environment)];
  const rows = SETTING_ROWS.map((row) => resolveRow(row, sources, problems));
  return { rows: settleAlternatives(rows, problems), problems };
}

/** The typed configuration of a resolution without problems. */
export function configOf(rows: readonly ResolvedRow[]): Config {
  const sections = SECTION_NAMES.map((section) => [
    section,
    Object.fromEntries(rows.filter((row) => row.section === section).map((row) => [row.name, row.value])),
  ]);
  // The rows come from the table that Config is derived from, each value from its own kind.
  return Object.fromEntries(sections) as Config;
}

function resolveRow(row: SettingRow, sources: ConfigSources, problems: ConfigProblem[]): ResolvedRow {
  const { kind, fallback, secrecy } = row.setting;
  const written = writtenValues(row, sources);
  let winner: ResolvedRow | undefined;
  for (const { text, folder, source } of written) {
    if (secrecy === "secret" && source.kind !== "environment") {
      problems.push({ path: row.path, where: source.where, message: secretMisplaced(row) });
    }
    const value = kind.parse(text, { folder, home: sources.place.home });
    if (value === undefined) {
      const shown = secrecy === "secret" ? STARS : (kind.show?.(text) ?? JSON.stringify(text));
      problems.push({ path: row.path, where: source.where, message: `must be ${kind.accepts}, is ${shown}` });
    }
    const valid = value === undefined ? text : kind.format(value as never);
    const shown = secrecy === "secret" ? STARS : (kind.show?.(valid) ?? valid);
    winner ??= { ...row, value, shown, source };
  }
  if (winner !== undefined) return winner;
  const value =
    fallback.kind === "value" ? fallback.value : fallback.kind === "computed" ? fallback.of(sources.place) : undefined;
  const shown = value === undefined ? undefined : kind.format(value as never);
  return { ...row, value, shown, source: { kind: "default" } };
}

// The winner first.
function writtenValues(row: SettingRow, sources: ConfigSources): readonly Written[] {
  const written: Written[] = [];
  const flag = sources.flags[row.path];
  const folder = sources.workingFolder;
  if (flag !== undefined) written.push({ text: flag, folder, source: { kind: "flag", where: flagOf(row.path) } });
  for (const where of [environmentOf(row.path), row.setting.alsoEnvironment]) {
    const text = where === undefined ? undefined : sources.environment[where];
    // An empty variable counts as not set: `LIFEBOAT_SERVER_HOST= lifeboat …` and compose files both mean that.
    if (where === undefined || text === undefined || text === "") continue;
    written.push({ text, folder, source: { kind: "environment", where } });
  }
  const { file } = sources;
  const fileValue = file?.values.findLast((value) => value.path === row.path);
  if (file !== undefined && fileValue !== undefined) {
    const { text, where } = fileValue;
    written.push({ text, folder: file.folder, source: { kind: "file", where } });
  }
  return written;
}

function secretMisplaced(row: SettingRow): string {
  return `is a secret that others could read here; use ${row.name}File, ${row.name}Command or ${environmentOf(row.path)}`;
}

// Only variables that begin like a section's: others with our prefix belong to tests and launchers.
function unknownVariables(environment: ConfigSources["environment"]): readonly ConfigProblem[] {
  const known = SETTING_ROWS.map((row) => environmentOf(row.path));
  const prefixes = SECTION_NAMES.map((section) => `${environmentOf(section)}_`);
  return Object.keys(environment)
    .filter((name) => prefixes.some((prefix) => name.startsWith(prefix)) && !known.includes(name))
    .sort()
    .map((name) => {
      const meant = nearestName(name, known);
      const suggestion = meant === undefined ? "see `lifeboat config explain`" : `did you mean ${meant}?`;
      return { path: "environment", where: name, message: `has no such variable; ${suggestion}` };
    });
}

// Settings that answer the same question.
const ALTERNATIVES = [
  ["server.password", "server.passwordFile", "server.passwordCommand"],
  ["vault.passphraseFile", "vault.passphraseCommand", "vault.recoveryKeyFile", "vault.identityFile"],
] as const;

const STRENGTH = { default: 0, file: 1, environment: 2, flag: 3 } as const;

// Of alternatives the one from the strongest source is used, as with one setting; two of one source are a mistake.
function settleAlternatives(rows: readonly ResolvedRow[], problems: ConfigProblem[]): readonly ResolvedRow[] {
  let settled = rows;
  for (const paths of ALTERNATIVES) {
    const given = settled.filter((row) => paths.some((path) => path === row.path) && row.value !== undefined);
    const strongest = given.toSorted((a, b) => STRENGTH[b.source.kind] - STRENGTH[a.source.kind])[0];
    if (strongest === undefined) continue;
    for (const row of given) {
      if (row === strongest || row.source.kind !== strongest.source.kind || row.source.kind === "default") continue;
      const message = `cannot be used together with ${strongest.path}: give one of them`;
      problems.push({ path: row.path, where: row.source.where, message });
    }
    settled = settled.map((row) =>
      given.includes(row) && row !== strongest
        ? { ...row, value: undefined, shown: undefined, overriddenBy: strongest.path }
        : row,
    );
  }
  return settled;
}
