/** What is wrong in a configuration, and how it is told. */
import { LifeboatError } from "../errors/error.ts";

/** One mistake. */
export type ConfigProblem = {
  /** The setting, `server.port`; the file itself where no setting can be named. */
  readonly path: string;
  /** Where it was written: `lifeboat.yaml:3:9`, `--server-port`, `LIFEBOAT_SERVER_PORT`. */
  readonly where: string;
  /** What is wrong, lower case; ends with the name that was probably meant. */
  readonly message: string;
};

/** One line for a person. */
export function formatProblem(problem: ConfigProblem): string {
  return `${problem.where}: ${problem.path} ${problem.message}`;
}

/** The error that tells all problems at once. */
export function invalidConfig(problems: readonly ConfigProblem[]): LifeboatError {
  const lines = problems.map(formatProblem);
  const [only] = lines;
  return new LifeboatError("config.invalid", {
    message:
      lines.length === 1 && only !== undefined
        ? `the configuration has a problem: ${only}`
        : `the configuration has ${lines.length} problems:\n${lines.map((line) => `  ${line}`).join("\n")}`,
    remedy:
      "Mend what is listed; `lifeboat config explain` shows every setting, where its value came from, and its name.",
    details: Object.fromEntries(lines.map((line, index) => [`problem${index + 1}`, line])),
  });
}
