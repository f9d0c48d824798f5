/** Turns the texts typed for a verb into its typed values. */
import type { ConfigProblem } from "../config/problem.ts";
import { flagOf } from "../config/setting.ts";
import type { PathBase } from "../config/value-kind.ts";
import type { Typed } from "./program.ts";
import type { Verb } from "./verb.ts";

/** The values of a call, and every value that is not accepted. */
export type ParsedCall = {
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly options: Readonly<Record<string, unknown>>;
  readonly problems: readonly ConfigProblem[];
};

/** Parses every argument and option by its declaration. Never throws. */
export function parseCall(verb: Verb, typed: Typed, base: PathBase): ParsedCall {
  const problems: ConfigProblem[] = [];
  const argumentValues: Record<string, unknown> = {};
  const optionValues: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(verb.arguments)) {
    const text = typed.arguments[name];
    argumentValues[name] = spec.fallback;
    if (text === undefined) continue;
    const parse = (word: string): unknown => {
      const value = spec.kind.parse(word, base);
      if (value === undefined) problems.push(problem(name, name.toUpperCase(), spec.kind.accepts, word));
      return value;
    };
    argumentValues[name] = typeof text === "string" ? parse(text) : text.map(parse);
  }
  for (const [name, spec] of Object.entries(verb.options)) {
    const given = typed.options[name];
    if (spec.takes === "nothing") {
      optionValues[name] = given === true;
      continue;
    }
    optionValues[name] = spec.fallback;
    if (typeof given !== "string") continue;
    optionValues[name] = spec.kind.parse(given, base);
    if (optionValues[name] === undefined) problems.push(problem(name, flagOf(name), spec.kind.accepts, given));
  }
  return { arguments: argumentValues, options: optionValues, problems };
}

function problem(path: string, where: string, accepts: string, text: string): ConfigProblem {
  return { path, where, message: `must be ${accepts}, is ${JSON.stringify(text)}` };
}
