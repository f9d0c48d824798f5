/** What a benchmark says in the end, for people and for programs. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { createStyle } from "../src/cli/style.ts";
import { type Column, renderTable } from "../src/cli/table.ts";
import type { Verdict } from "./goals.ts";
import { loadAverage, machineFacts } from "./machine.ts";
import { ratiosByRound, type Spread, spreadOf } from "./statistics.ts";

/** The result of a benchmark. */
export type Report = {
  readonly text: string;
  /** Everything that was measured; written by `--json`. */
  readonly data: Readonly<Record<string, unknown>>;
};

const PLAIN = createStyle({ colours: false, columns: 120 });

/** A table whose first column is text and the others figures. */
export function figures(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const columns = titles.map((title, index): Column => ({ title, align: index === 0 ? "left" : "right" }));
  return renderTable(columns, rows, PLAIN);
}

/** `12.3 (11.9-13.0)`, or the one value when all are equal. */
export function showSpread(spread: Spread, digits: number): string {
  const [median, min, max] = [spread.median, spread.min, spread.max].map((value) => value.toFixed(digits));
  return min === max ? `${median}` : `${median} (${min}-${max})`;
}

/** What can be read off a run, and how many digits of it mean something; undefined where a run has none. */
export type Figure<Run> = {
  readonly title: string;
  readonly digits: number;
  readonly of: (run: Run) => number | undefined;
};

/** All runs of one subject, in the order of the rounds. */
export type Runs<Run> = { readonly title: string; readonly runs: readonly Run[] };

/** The values of a figure, of the runs that have it. */
export function valuesOf<Run>(runs: readonly Run[], of: Figure<Run>["of"]): readonly number[] {
  return runs.map(of).filter((value) => value !== undefined);
}

/** A row for each subject: the spread of every figure over its runs. */
export function figureTable<Run>(subjects: readonly Runs<Run>[], columns: readonly Figure<Run>[]): string {
  const rows = subjects.map(({ title, runs }) => [
    title,
    ...columns.map(({ digits, of }) => spreadCell(valuesOf(runs, of), digits)),
  ]);
  return figures(["", ...columns.map(({ title }) => title)], rows);
}

/** Ratios of the first subject to each other one, taken within a round. Empty without another one. */
export function ratioTable<Run>(
  subjects: readonly Runs<Run>[],
  columns: readonly Omit<Figure<Run>, "digits">[],
): string {
  const [ours, ...peers] = subjects;
  if (ours === undefined || peers.length === 0) return "";
  const rows = peers.map((peer) => [
    peer.title,
    ...columns.map(({ of }) => spreadCell(ratiosByRound(valuesOf(ours.runs, of), valuesOf(peer.runs, of)), 2)),
  ]);
  return figures([`${ours.title} against`, ...columns.map(({ title }) => title)], rows);
}

function spreadCell(values: readonly number[], digits: number): string {
  return values.length === 0 ? "-" : showSpread(spreadOf(values), digits);
}

/** One line a verdict. */
export function showVerdicts(verdicts: readonly Verdict[]): string {
  return verdicts.map(({ goal, measured, kept }) => `${kept ? "kept  " : "MISSED"}  ${goal}: ${measured}`).join("\n");
}

/** The versions of what was measured. */
export function showVersions(versions: Readonly<Record<string, string>>): string {
  return Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(", ");
}

/** Where and when: put beside every figure that is kept. */
export async function provenance(startedLoad: number): Promise<Readonly<Record<string, unknown>>> {
  return {
    at: new Date().toISOString(),
    commit: await commit(),
    machine: machineFacts(),
    loadBefore: startedLoad,
    loadAfter: loadAverage(),
  };
}

/**
 * Names what the files of a clone hold, those that were changed or are new since the commit included: two edits of one commit are
 * not the same program. Outside a clone, or without git: `unknown`.
 */
export async function tree(clone = path.join(import.meta.dirname, "..")): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "lifeboat-bench-"));
  try {
    const env = { ...process.env, GIT_INDEX_FILE: path.join(folder, "index") };
    const at = { cwd: clone, env };
    const run = promisify(execFile);
    await run("git", ["read-tree", "HEAD"], at);
    await run("git", ["add", "--all"], at);
    return (await run("git", ["write-tree"], at)).stdout.trim();
  } catch {
    return "unknown";
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The commit that is checked out, with a plus when files were changed since; `unknown` outside a clone. */
export async function commit(): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)("git", ["describe", "--always", "--dirty=+"], {
      cwd: import.meta.dirname,
    });
    return stdout.trim();
  } catch {
    // Installed from a package, or no git: a figure without a commit is still a figure.
    return "unknown";
  }
}
