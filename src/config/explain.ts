/** What `lifeboat config explain` says, and the rows of docs/reference.md: both follow from the table of settings. */
import type { LoadedSettings } from "./load.ts";
import type { ConfigProblem } from "./problem.ts";
import type { ResolvedRow } from "./resolve.ts";
import { SETTING_ROWS, type SettingRow } from "./schema.ts";
import { environmentOf, flagOf } from "./setting.ts";

/** One setting, explained. Secrets are stars already. */
export type ExplainedSetting = {
  readonly path: string;
  /** Undefined when the setting is absent; `note` then says what follows from that. */
  readonly value: string | undefined;
  readonly note: string | undefined;
  readonly source: ResolvedRow["source"]["kind"];
  readonly where: string | undefined;
  readonly flag: string | undefined;
  readonly environment: string;
};

/** Everything about the configuration in force. */
export type Explanation = {
  readonly file: string | undefined;
  readonly searched: readonly string[];
  readonly settings: readonly ExplainedSetting[];
  readonly problems: readonly ConfigProblem[];
};

/** Explains a loaded configuration; `searched` are the folders that were looked into for a file. */
export function explainSettings(loaded: LoadedSettings, searched: readonly string[]): Explanation {
  return { file: loaded.file, searched, settings: loaded.rows.map(explainRow), problems: loaded.problems };
}

/** One setting as the reference shows it. */
export type ReferenceRow = {
  readonly path: string;
  readonly describe: string;
  readonly accepts: string;
  readonly fallback: string;
  readonly flag: string | undefined;
  readonly environment: string;
};

/** The rows of the reference, in the order of the table. */
export function referenceRows(): readonly ReferenceRow[] {
  return SETTING_ROWS.map((row) => ({
    path: row.path,
    describe: row.setting.describe,
    accepts: row.setting.kind.accepts,
    fallback: fallbackText(row),
    flag: flagOfRow(row),
    environment: environmentsOf(row),
  }));
}

/** A setting's default in words. */
export function fallbackText(row: SettingRow): string {
  const { fallback, kind } = row.setting;
  if (fallback.kind !== "value") return fallback.documented;
  // The value comes from the same declaration as the kind.
  return kind.format(fallback.value as never);
}

function explainRow(row: ResolvedRow): ExplainedSetting {
  const { source, setting } = row;
  const absent = setting.fallback.kind === "absent" ? setting.fallback.documented : undefined;
  return {
    path: row.path,
    value: row.shown,
    note:
      row.overriddenBy === undefined ? (row.shown === undefined ? absent : undefined) : `${row.overriddenBy} is used`,
    source: source.kind,
    where: source.kind === "default" ? undefined : source.where,
    flag: flagOfRow(row),
    environment: environmentsOf(row),
  };
}

function flagOfRow(row: SettingRow): string | undefined {
  return row.setting.secrecy === "secret" ? undefined : flagOf(row.path);
}

function environmentsOf(row: SettingRow): string {
  const { alsoEnvironment } = row.setting;
  return alsoEnvironment === undefined ? environmentOf(row.path) : `${environmentOf(row.path)}, ${alsoEnvironment}`;
}
