/**
 * What a verb of the command line is.
 *
 * Nouns: a *verb* is one command (`backup`, `wal get`) with its arguments, options, examples and the sections of the
 * configuration whose values it takes as flags; a *session* is what the frame lends it while it runs.
 * Invariants: help, shell completion, docs/reference.md and parsing follow from the declaration alone; a verb returns its
 * result as data and as text and prints nothing itself, except through what the session lends it; it never
 * touches signals, the environment or the exit status.
 */
import type { LoadedSettings } from "../config/load.ts";
import type { Config, SectionName } from "../config/schema.ts";
import type { AnyValueKind, ValueKind } from "../config/value-kind.ts";
import type { Clock } from "../platform/clock.ts";
import type { Progress } from "./progress.ts";
import type { Prompt } from "./prompt.ts";
import type { Screen } from "./screen.ts";
import type { Style } from "./style.ts";

/** An option or argument with a value. */
export type ValueSpec<T> = {
  readonly takes: "value";
  readonly kind: ValueKind<T>;
  readonly describe: string;
  /** `rest`: an argument that takes all words from here to the end of the command line, one at least. */
  readonly need: "required" | "optional" | "default" | "rest";
  readonly fallback: T | undefined;
};

/** An option that is on or off. */
export type ToggleSpec = {
  readonly takes: "nothing";
  readonly describe: string;
  /** One letter for people in a hurry; not one of the global options'. */
  readonly letter?: string | undefined;
};

type AnyValueSpec = Omit<ValueSpec<unknown>, "kind"> & { readonly kind: AnyValueKind };

/** An option of any type. */
export type OptionSpec = AnyValueSpec | ToggleSpec;

/** An argument of any type. */
export type ArgumentSpec = AnyValueSpec;

/** An option or argument that must be given. */
export function required<T>(kind: ValueKind<T>, describe: string): ValueSpec<T> & { readonly need: "required" } {
  return { takes: "value", kind, describe, need: "required", fallback: undefined };
}

/** An argument that takes all words from here to the end of the command line, one at least. It stands last. */
export function rest<T>(kind: ValueKind<T>, describe: string): ValueSpec<T> & { readonly need: "rest" } {
  return { takes: "value", kind, describe, need: "rest", fallback: undefined };
}

/** An option or argument that may be left out. */
export function optional<T>(kind: ValueKind<T>, describe: string): ValueSpec<T> & { readonly need: "optional" } {
  return { takes: "value", kind, describe, need: "optional", fallback: undefined };
}

/** An option that has a value when it is left out. */
export function withDefault<T>(
  kind: ValueKind<T>,
  fallback: T,
  describe: string,
): ValueSpec<T> & { readonly need: "default" } {
  return { takes: "value", kind, describe, need: "default", fallback };
}

/** An option that is on or off. */
export function toggle(describe: string, letter?: string): ToggleSpec {
  return { takes: "nothing", describe, letter };
}

type ValueOfSpec<S> = S extends ToggleSpec
  ? boolean
  : S extends ValueSpec<infer T> & { readonly need: "optional" }
    ? T | undefined
    : S extends ValueSpec<infer T> & { readonly need: "rest" }
      ? readonly T[]
      : S extends ValueSpec<infer T>
        ? T
        : never;

/** The values of a table of options or arguments. */
export type ValuesOf<S> = { readonly [N in keyof S]: ValueOfSpec<S[N]> };

/** A line of `--help`: what to type and what it does. */
export type Example = { readonly line: string; readonly does: string };

/**
 * The configuration a verb uses. `checked`: its mistakes end the command before it does anything. `unchecked`: the verb
 * looks at the mistakes itself.
 */
export type VerbConfiguration =
  | { readonly kind: "none" }
  | {
      readonly kind: "checked" | "unchecked";
      readonly sections: readonly SectionName[];
      /** Optional settings that count as not set where they are not accepted, which is said: for what is worse not to run than to run without. */
      readonly passesOver?: readonly string[];
    };

/** What a verb answers: the same facts for programs and for people. */
export type VerbResult = {
  /** Undefined: nothing is written that was not told already. */
  readonly json: unknown;
  /** Without a line end after the last line; empty prints nothing. */
  readonly text: string;
  /** The exit status; 0 unless said otherwise. */
  readonly exit?: number;
  /** Called when the result is out; not where nobody takes it. */
  readonly onWritten?: (() => Promise<void>) | undefined;
};

/** What the frame lends a running verb. */
export type Session = {
  /** Aborts on the first SIGINT or SIGTERM; then the verb cleans up and rejects with `platform.aborted`. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly progress: Progress;
  /** For what is redrawn in place. */
  readonly screen: Screen;
  /** Tells a person something beside the result, on stderr. */
  readonly notice: (text: string) => void;
  /** The same also where a person asked for quiet: what is told nowhere else. */
  readonly disclose: (text: string) => void;
  /** Writes a part of a result that goes on and on, such as a line of a log, to stdout at once. */
  readonly tell: (part: { readonly json: unknown; readonly text: string }) => void;
  /** Colours and width of the result's text. */
  readonly style: Style;
  readonly json: boolean;
  /** Undefined where there is no terminal to ask at. */
  readonly prompt: Prompt | undefined;
  readonly config: () => Promise<Config>;
  readonly settings: () => Promise<LoadedSettings & { readonly searched: readonly string[] }>;
};

/** One call of a verb. */
export type VerbCall<A, O> = {
  readonly arguments: ValuesOf<A>;
  readonly options: ValuesOf<O>;
  readonly session: Session;
};

/** A verb with the types of its options and arguments. */
export type VerbDeclaration<A, O> = {
  /** The words that call it. */
  readonly path: readonly [string] | readonly [string, string];
  readonly summary: string;
  /** What a person should know before using it, in a few sentences. */
  readonly description: string;
  /** In the order of the command line; the optional ones last. */
  readonly arguments: A;
  readonly options: O;
  readonly configuration: VerbConfiguration;
  readonly examples: readonly Example[];
  /** For verbs whose exit status is a protocol: the status of a failure, given the whole command line. */
  readonly failureStatus?: (args: readonly string[]) => number;
  /** True when it tells what it sees until its signal aborts; then that also aborts when nobody reads it any more. */
  readonly goesOn?: (options: ValuesOf<O>) => boolean;
  readonly run: (call: VerbCall<A, O>) => Promise<VerbResult>;
};

/** A verb as the frame sees it. */
export type Verb = Omit<
  VerbDeclaration<Readonly<Record<string, ArgumentSpec>>, Readonly<Record<string, OptionSpec>>>,
  "run" | "goesOn"
> & {
  readonly goesOn?: (options: Readonly<Record<string, unknown>>) => boolean;
  readonly run: (call: {
    readonly arguments: Readonly<Record<string, unknown>>;
    readonly options: Readonly<Record<string, unknown>>;
    readonly session: Session;
  }) => Promise<VerbResult>;
};

/** Declares a verb; the frame hands it values of the declared types. */
export function defineVerb<
  A extends Readonly<Record<string, ArgumentSpec>>,
  O extends Readonly<Record<string, OptionSpec>>,
>(verb: VerbDeclaration<A, O>): Verb {
  // The frame parses each value with the kind of its own declaration: see call.ts.
  return {
    ...verb,
    goesOn: (options) => verb.goesOn?.(options as ValuesOf<O>) ?? false,
    run: (call) => verb.run(call as VerbCall<A, O>),
  };
}
