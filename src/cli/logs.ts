/** `lifeboat logs`: what the stack's components write. */
import type { Config } from "../config/schema.ts";
import { choice, whole } from "../config/value-kind.ts";
import { COMPONENT_NAMES } from "../stack/component-names.ts";
import { printable } from "./style.ts";
import { defineVerb, optional, type Session, toggle, type Verb, withDefault } from "./verb.ts";

/** Whose log can be read: those of the components, and that of what runs them. */
const LOG_NAMES = [...COMPONENT_NAMES, "supervisor"] as const;

/** The name of a log. */
export type LogName = (typeof LOG_NAMES)[number];

/** Logs that are open: their last lines, and what comes. */
export type OpenLogs = {
  readonly logs: readonly { readonly name: string; readonly lines: readonly string[] }[];
  /** Tells every line that is written from here on, until the session's signal; then it returns. */
  readonly follow: (onLine: (name: string, line: string) => void) => Promise<void>;
};

/** Opens logs of the configured stack; a component that is several programs has several. */
export type ReadLogs = (call: {
  readonly config: Config;
  readonly session: Session;
  readonly names: readonly LogName[];
  readonly lines: number;
}) => Promise<OpenLogs>;

/** A log is at most twice 32 MiB; nobody reads more on a terminal. */
const LINES_MAX = 1_000_000;
const LINES_DEFAULT = 20;

/** `logs`. */
export function logsVerb(readLogs: ReadLogs): Verb {
  return defineVerb({
    path: ["logs"],
    summary: "Show what the stack's components write",
    description:
      "Prints the last lines of a component's log, or of all, each line then with the name of who wrote it. With --follow it " +
      "goes on until Ctrl-C. With --json and --follow each line is a line of JSON. A log that has grown to 32 MiB is set aside " +
      "once, as NAME.log.1 beside it.",
    arguments: {
      component: optional(choice(LOG_NAMES), `One of ${LOG_NAMES.join(", ")}; without it all.`),
    },
    options: {
      follow: toggle("Go on with what is written from now on.", "f"),
      lines: withDefault(whole("COUNT", { min: 0, max: LINES_MAX }), LINES_DEFAULT, "How many last lines of each."),
    },
    configuration: { kind: "checked", sections: ["stack", "folders"] },
    examples: [
      { line: "lifeboat logs", does: "The end of each log." },
      { line: "lifeboat logs db -f", does: "What the primary writes, as it does." },
      { line: "lifeboat logs receiver --lines 200", does: "More of one." },
    ],
    goesOn: (options) => options.follow,
    run: async ({ arguments: { component }, options, session }) => {
      const names = component === undefined ? LOG_NAMES : [component];
      const config = await session.config();
      const { logs, follow } = await readLogs({ config, session, names, lines: options.lines });
      const width = Math.max(...logs.map(({ name }) => name.length));
      const text = (name: string, line: string): string =>
        logs.length > 1 ? `${name.padEnd(width)} | ${printable(line)}` : printable(line);
      const linesOf = logs.flatMap(({ name, lines }) => lines.map((line) => ({ name, line })));
      if (!options.follow) {
        if (linesOf.length === 0) session.notice("Nothing was logged yet.");
        return { json: { logs }, text: linesOf.map(({ name, line }) => text(name, line)).join("\n") };
      }
      const tell = (name: string, line: string): void => session.tell({ json: { name, line }, text: text(name, line) });
      for (const { name, line } of linesOf) tell(name, line);
      await follow(tell);
      return { json: undefined, text: "" };
    },
  });
}
