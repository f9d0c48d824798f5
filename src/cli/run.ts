/**
 * Runs one command line.
 *
 * Nouns: the *frame* is everything a command line gets from outside (streams, variables, ports, the signal), handed in
 * by main.ts and by tests alike.
 * Invariants: a mistake in options or configuration ends the command before it has any effect; the result goes to stdout,
 * everything else to stderr; the exit status comes from the error registry, from the verb's result, or, where a verb's
 * status is a protocol, from the verb, also when the command line could not be understood.
 */
import { CommanderError } from "commander";
import { type LoadedSettings, type LoadRequest, loadSettings, searchedFolders } from "../config/load.ts";
import { formatProblem, invalidConfig } from "../config/problem.ts";
import { configOf } from "../config/resolve.ts";
import type { Config } from "../config/schema.ts";
import type { Place } from "../config/setting.ts";
import { EXIT } from "../errors/entry.ts";
import type { LifeboatError } from "../errors/error.ts";
import type { Clock } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import { parseCall } from "./call.ts";
import { exitOf, failureJson, failureOf, renderFailure, usageError, usageProblems } from "./failure.ts";
import { type Sink, writePart, writeResult } from "./output.ts";
import { createProgram, type GlobalOptions, type Typed } from "./program.ts";
import { createProgress, type ProgressMode } from "./progress.ts";
import type { Prompt } from "./prompt.ts";
import { createScreen } from "./screen.ts";
import { createStyle, printable, wantsColours } from "./style.ts";
import type { Session, Verb } from "./verb.ts";

/** Everything from outside. */
export type Frame = {
  readonly version: string;
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly place: Place;
  readonly workingFolder: string;
  readonly signal: AbortSignal;
  /** Aborts when nobody reads stdout any more. */
  readonly unread: AbortSignal;
  readonly clock: Clock;
  readonly files: Files;
  /** Makes the prompt, or undefined where there is no terminal; called only when a verb asks. */
  readonly prompt: (signal: AbortSignal) => Prompt | undefined;
};

/** Runs the command line `args` (without the program's name) and returns the exit status. Never throws. */
export async function runCli(args: readonly string[], verbs: readonly Verb[], frame: Frame): Promise<number> {
  let status = 0;
  const outcome: { global: GlobalOptions } = { global: globalsBeforeParsing(args) };
  try {
    const program = createProgram(verbs, {
      version: frame.version,
      writeOut: (text) => frame.stdout.write(text),
      writeErr: (text) => frame.stderr.write(text),
      columns: frame.stdout.columns,
      call: async (verb, typed) => {
        outcome.global = typed.global;
        status = await callVerb(verb, typed, frame);
      },
    });
    await program.parseAsync(helpAsked(args), { from: "user" });
    return status;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
    const failure = failureOf(thrown instanceof CommanderError ? usageOf(thrown, args, verbs) : thrown);
    tellFailure(failure, frame, outcome.global);
    const interrupted = failure.error.exit === EXIT.interrupted;
    return interrupted ? EXIT.interrupted : (protocolStatus(args, verbs) ?? exitOf(failure));
  }
}

async function callVerb(verb: Verb, typed: Typed, frame: Frame): Promise<number> {
  const request: LoadRequest = {
    configFile: typed.global.config,
    flags: typed.settings,
    environment: frame.environment,
    place: frame.place,
    workingFolder: frame.workingFolder,
  };
  const parsed = parseCall(verb, typed, { folder: frame.workingFolder, home: frame.place.home });
  if (parsed.problems.length > 0) throw usageProblems(parsed.problems, ["lifeboat", ...verb.path].join(" "));
  // What tells without end would never learn that nobody listens; everything else is worth doing all the same.
  const isEndless = verb.goesOn?.(parsed.options) ?? false;
  const signal = isEndless ? AbortSignal.any([frame.signal, frame.unread]) : frame.signal;
  const { configuration } = verb;
  const passesOver = configuration.kind === "none" ? [] : (configuration.passesOver ?? []);
  const session = createSession(typed.global, { ...frame, signal }, { request, passesOver });
  if (configuration.kind === "checked") await session.config();
  try {
    const result = await verb.run({ arguments: parsed.arguments, options: parsed.options, session });
    session.progress.end();
    writeResult(result, frame.stdout, typed.global.json ? "json" : "text");
    if (result.onWritten !== undefined && (await isOut(frame.stdout))) await result.onWritten();
    return result.exit ?? 0;
  } finally {
    session.progress.end();
  }
}

async function isOut(stdout: Sink): Promise<boolean> {
  return (await stdout.flushed?.()) ?? true;
}

function createSession(
  global: GlobalOptions,
  frame: Frame,
  { request, passesOver }: { readonly request: LoadRequest; readonly passesOver: readonly string[] },
): Session {
  const { stdout, stderr, environment } = frame;
  const mode = progressMode(global, stderr);
  const loud = progressMode({ ...global, quiet: false }, stderr);
  const progress = createProgress(stderr, { mode, clock: frame.clock });
  const colours = wantsColours(stdout, { environment, flag: global.color });
  let loading: Promise<LoadedSettings> | undefined;
  let config: Promise<Config> | undefined;
  const settings = async () => {
    loading ??= loadSettings(frame.files, request);
    return { ...(await loading), searched: searchedFolders(request) };
  };
  const accepted = async (): Promise<Config> => {
    const { rows, problems } = await settings();
    if (problems.some((problem) => !passesOver.includes(problem.path))) throw invalidConfig(problems);
    for (const problem of problems) progress.note(`passed over, as if it were not there: ${formatProblem(problem)}`);
    return configOf(rows);
  };
  return {
    signal: frame.signal,
    clock: frame.clock,
    progress,
    screen: createScreen(stdout),
    notice: (text) => progress.note(text),
    disclose: (text) =>
      (global.quiet ? createProgress(stderr, { mode: loud, clock: frame.clock }) : progress).note(text),
    tell: (part) => {
      progress.end();
      writePart(part, stdout, global.json ? "json" : "text");
    },
    style: createStyle({ colours, columns: stdout.columns }),
    json: global.json,
    get prompt() {
      return frame.prompt(frame.signal);
    },
    settings,
    config: async () => {
      config ??= accepted();
      return await config;
    },
  };
}

function progressMode(global: GlobalOptions, stderr: Sink): ProgressMode {
  if (global.quiet) return "quiet";
  if (global.json) return "json";
  return stderr.isTerminal ? "terminal" : "plain";
}

function tellFailure(failure: ReturnType<typeof failureOf>, frame: Frame, global: GlobalOptions): void {
  const { stderr, environment } = frame;
  if (global.json) {
    stderr.write(failureJson(failure));
    return;
  }
  const colours = wantsColours(stderr, { environment, flag: global.color });
  const style = createStyle({ colours, columns: stderr.columns });
  stderr.write(renderFailure(failure, style, { verbose: global.verbose }));
}

// commander's own help command knows one word only: `help wal get` would show the help of `wal`.
function helpAsked(args: readonly string[]): readonly string[] {
  return args[0] === "help" && args.length > 2 ? [...args.slice(1), "--help"] : args;
}

// A command line that cannot be understood still says how it wants to hear of it.
function globalsBeforeParsing(all: readonly string[]): GlobalOptions {
  // What stands behind it is another program's.
  const args = all.includes("--") ? all.slice(0, all.indexOf("--")) : all;
  return {
    config: undefined,
    json: args.includes("--json"),
    verbose: args.includes("--verbose") || args.includes("-v"),
    quiet: false,
    color: !args.includes("--no-color"),
  };
}

function usageOf(thrown: CommanderError, args: readonly string[], verbs: readonly Verb[]): LifeboatError {
  const help = `See \`${["lifeboat", ...meantPath(args, verbs), "--help"].join(" ")}\`.`;
  if (thrown.code === "commander.help") return usageError("a command is missing", "Choose one of the commands above.");
  const [first = "", ...rest] = printable(thrown.message)
    .replace(/^error: /, "")
    .split("\n");
  const suggestion = rest.join(" ").replace(/^\(|\)$/g, "");
  return usageError(first.replace(/\.$/, ""), suggestion === "" ? help : suggestion);
}

/** The words of the verb that was meant, of a group of verbs, or none: a value before it, as of `--config`, is no verb. */
function meantPath(args: readonly string[], verbs: readonly Verb[]): readonly string[] {
  const words = args.filter((arg) => !arg.startsWith("-"));
  for (const at of words.keys()) {
    const meant = verbs.filter(({ path }) => path.every((word, index) => words[at + index] === word));
    const longest = meant.toSorted((a, b) => b.path.length - a.path.length)[0];
    if (longest !== undefined) return longest.path;
    const word = words[at] ?? "";
    if (verbs.some(({ path }) => path.length > 1 && path[0] === word)) return [word];
  }
  return [];
}

// The words of the verb, in order, are enough here: a restore must never take a typing error for an answer.
function protocolStatus(args: readonly string[], verbs: readonly Verb[]): number | undefined {
  const verb = verbs.find((each) => {
    let from = 0;
    return each.path.every((word) => {
      const at = args.indexOf(word, from);
      from = at + 1;
      return at >= 0;
    });
  });
  return verb?.failureStatus?.(args);
}
