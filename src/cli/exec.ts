/** `lifeboat exec`: runs a command where a component of the stack runs. */
import type { Config } from "../config/schema.ts";
import { choice, duration, word } from "../config/value-kind.ts";
import type { ExecResult } from "../platform/components.ts";
import { signalNumber } from "../platform/processes.ts";
import { COMPONENT_NAMES, type ComponentName } from "../stack/component-names.ts";
import type { DurationMs } from "../units/duration.ts";
import { defineVerb, required, rest, type Session, type Verb, type VerbResult, withDefault } from "./verb.ts";

/** Runs a command beside a component of the configured stack. */
export type ExecConfigured = (call: {
  readonly config: Config;
  readonly session: Session;
  readonly component: ComponentName;
  readonly program: string;
  readonly args: readonly string[];
  readonly timeoutMs: number;
}) => Promise<ExecResult>;

/** Whoever wants more than a day of it wants a component. */
const TIMEOUT_MS = { min: 1 as DurationMs, max: 86_400_000 as DurationMs };
const TIMEOUT_MS_DEFAULT = 60_000 as DurationMs;
/** A shell says by this and the signal's number that a signal ended a program. */
const STATUS_OF_SIGNALS = 128;

/** `exec`. */
export function execVerb(exec: ExecConfigured): Verb {
  return defineVerb({
    path: ["exec"],
    summary: "Run a command where a component of the stack runs",
    description:
      "Runs the command as the component's user, in its folder, with its environment and without input; programs beside the " +
      "component's own are found first, so that a node's command finds those of its PostgreSQL. What it wrote is printed when " +
      "it has ended, at most 1 MiB of each stream, and its status becomes this command's: 128 and the signal's number where a " +
      "signal ended it. The component must run; when it ends, the command is killed. Of several poolers it is the first.",
    arguments: {
      component: required(choice(COMPONENT_NAMES), `One of ${COMPONENT_NAMES.join(", ")}.`),
      command: rest(word("COMMAND"), "The program and its arguments. Write -- before them."),
    },
    options: {
      timeout: withDefault(duration(TIMEOUT_MS), TIMEOUT_MS_DEFAULT, "How long it may take before it is killed."),
    },
    configuration: { kind: "checked", sections: ["stack", "folders"] },
    examples: [
      { line: "lifeboat exec db -- postgres --version", does: "Which PostgreSQL the node is." },
      { line: "lifeboat exec redis -- df -h .", does: "How full its disk is." },
    ],
    run: async ({ arguments: { component, command }, options, session }) => {
      const [program = "", ...args] = command;
      const config = await session.config();
      const result = await exec({ config, session, component, program, args, timeoutMs: options.timeout });
      return resultOf(component, result, session);
    },
  });
}

function resultOf(component: ComponentName, result: ExecResult, { json, notice }: Session): VerbResult {
  const { exit, stdout, stderr, truncated } = result;
  if (!json && stderr !== "") notice(withoutLineEnd(stderr));
  if (truncated) notice("The command wrote more than 1 MiB; the rest was dropped.");
  return {
    json: { component, exit, stdout, stderr, truncated },
    text: withoutLineEnd(stdout),
    exit: exit.kind === "exited" ? exit.status : STATUS_OF_SIGNALS + signalNumber(exit.signal),
  };
}

function withoutLineEnd(text: string): string {
  return text.replace(/\n$/, "");
}
