/**
 * What `bench failover` has measured so far, so that it goes on after an interruption.
 *
 * Invariants: a run is a line of its own, written when it was measured; runs of another program, commit or request are set
 * aside and not mixed with these.
 */
import { appendFile, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import type { FailoverRequest, FailoverRun } from "./failover-plan.ts";

/** The lines of one request. */
export class FailoverRecord {
  readonly file: string;
  readonly runs: FailoverRun[];

  private constructor(file: string, runs: FailoverRun[]) {
    this.file = file;
    this.runs = runs;
  }

  /** Goes on with what was measured under the same conditions, unless it shall begin anew. */
  static async open(
    cacheFolder: string,
    conditions: {
      readonly request: FailoverRequest;
      readonly versions: Readonly<Record<string, string>>;
      readonly commit: string;
    },
    fresh: boolean,
  ): Promise<FailoverRecord> {
    const { durability, ratePerSecond, mib } = conditions.request;
    const file = path.join(cacheFolder, `failover-${durability}-${ratePerSecond}-${mib}mib.jsonl`);
    const { versions, commit } = conditions;
    const header = JSON.stringify({ durability, ratePerSecond, mib, versions, commit });
    const [first = "", ...lines] = (await readFile(file, "utf8").catch(() => "")).split("\n");
    if (first === header && !fresh) return new FailoverRecord(file, lines.flatMap(runOf));
    if (first !== "") await rename(file, `${file}.before`);
    await writeFile(file, `${header}\n`);
    return new FailoverRecord(file, []);
  }

  /** Keeps a run. */
  async add(run: FailoverRun): Promise<void> {
    this.runs.push(run);
    await appendFile(this.file, `${JSON.stringify(run)}\n`);
  }
}

/** A line that an interruption cut is no run. */
function runOf(line: string): readonly FailoverRun[] {
  try {
    const run: FailoverRun = JSON.parse(line);
    return [run];
  } catch {
    return [];
  }
}
