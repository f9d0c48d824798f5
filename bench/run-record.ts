/**
 * What a benchmark of many runs has measured so far, so that it goes on after an interruption.
 *
 * Invariants: a run is a line of its own, written when it was measured; runs of other conditions (another program, other
 * files or another request) are set aside and not mixed with these.
 */
import { appendFile, readFile, rename, writeFile } from "node:fs/promises";

/** The lines of one request. */
export class RunRecord<Run> {
  readonly file: string;
  readonly runs: Run[];

  private constructor(file: string, runs: Run[]) {
    this.file = file;
    this.runs = runs;
  }

  /** Goes on with what was measured under the same conditions, unless it shall begin anew. */
  static async open<Run>(file: string, conditions: object, fresh: boolean): Promise<RunRecord<Run>> {
    const header = JSON.stringify(conditions);
    const [first = "", ...lines] = (await readFile(file, "utf8").catch(() => "")).split("\n");
    if (first === header && !fresh) {
      const runs = lines.map((line) => runOf<Run>(line)).filter((run) => run !== undefined);
      return new RunRecord<Run>(file, runs);
    }
    if (first !== "") await rename(file, `${file}.before`);
    await writeFile(file, `${header}\n`);
    return new RunRecord<Run>(file, []);
  }

  /** Keeps a run. */
  async add(run: Run): Promise<void> {
    this.runs.push(run);
    await appendFile(this.file, `${JSON.stringify(run)}\n`);
  }
}

/** A line that an interruption cut is no run. */
function runOf<Run>(line: string): Run | undefined {
  try {
    const run: Run = JSON.parse(line);
    return run;
  } catch {
    return undefined;
  }
}
