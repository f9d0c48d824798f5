/**
 * What a command says when it fails.
 *
 * Invariants: a mistake of the operator and a fault of the world are told by message, remedy and code, without a stack;
 * a bug is told with its stack; what comes from outside is made harmless for a terminal.
 */

import type { ConfigProblem } from "../config/problem.ts";
import { EXIT } from "../errors/entry.ts";
import { LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import { toJson } from "./output.ts";
import { printable, type Style } from "./style.ts";

/** A chain of causes longer than this is a loop. */
const CAUSES_MAX = 8;

/** A failure, ready to be told. */
export type Failure = { readonly error: LifeboatError; readonly others: readonly LifeboatError[] };

/** Makes a failure of whatever was thrown; what is not a LifeboatError is our bug. Several gathered failures stay several. */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof AggregateError && thrown.errors.length > 0) {
    const [first, ...others] = thrown.errors.map(asLifeboatError).sort((a, b) => rank(a) - rank(b));
    if (first !== undefined) return { error: first, others };
  }
  return { error: asLifeboatError(thrown), others: [] };
}

/** The exit status of a failure. */
export function exitOf(failure: Failure): number {
  return failure.error.exit;
}

/** The failure as text for stderr, ending with a line end. */
export function renderFailure(failure: Failure, style: Style, options: { readonly verbose: boolean }): string {
  return [failure.error, ...failure.others].map((error) => renderOne(error, style, options.verbose)).join("");
}

/** The failure as one line of JSON, ending with a line end. */
export function failureJson(failure: Failure): string {
  const { error, others } = failure;
  const also = others.length === 0 ? {} : { others: others.map(facts) };
  return `${toJson({ error: { ...facts(error), ...also } }, 0)}\n`;
}

function facts(error: LifeboatError) {
  const { code, message, remedy, details } = error;
  const stack = error.kind === "bug" ? { stack: error.stack } : {};
  return { code, kind: error.kind, message, remedy, retryable: error.retryable, details, ...stack };
}

function renderOne(error: LifeboatError, style: Style, verbose: boolean): string {
  const lines = [
    `${style.bad("error:")} ${printable(error.message)}`,
    `${style.good("remedy:")} ${printable(error.remedy)}`,
    style.faint(`code: ${error.code}`),
  ];
  if (verbose) lines.push(...causesOf(error).map((cause) => style.faint(`cause: ${printable(cause)}`)));
  if (error.kind === "bug") lines.push(printable(stackOf(error)));
  return `${lines.join("\n")}\n`;
}

function asLifeboatError(thrown: unknown): LifeboatError {
  if (thrown instanceof LifeboatError) return thrown;
  return new LifeboatError("platform.assertion-failed", {
    message: `unexpected failure: ${errorText(thrown)}`,
    remedy: "This is a bug in Lifeboat: report it with this text and the stack.",
    cause: thrown,
  });
}

// A bug goes before anything else, an interruption after.
function rank(error: LifeboatError): number {
  if (error.kind === "bug") return 0;
  return error.exit === EXIT.interrupted ? 2 : 1;
}

// The stack of what was thrown, where we only wrapped it.
function stackOf(error: LifeboatError): string {
  return error.cause instanceof Error ? (error.cause.stack ?? "") : (error.stack ?? "");
}

function causesOf(error: LifeboatError): readonly string[] {
  const causes: string[] = [];
  let cause: unknown = error.cause;
  while (cause !== undefined && causes.length < CAUSES_MAX) {
    causes.push(errorText(cause));
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return causes;
}

/** The error of a command line that cannot be understood. */
export function usageError(message: string, remedy: string): LifeboatError {
  return new LifeboatError("config.usage", { message, remedy });
}

/** The error of options and arguments whose values are not accepted, all of them at once. */
export function usageProblems(problems: readonly ConfigProblem[], help: string): LifeboatError {
  const lines = problems.map((problem) => `${problem.where} ${problem.message}`);
  return new LifeboatError("config.usage", {
    message: lines.length === 1 ? lines.join("") : `${lines.length} values are not accepted:\n  ${lines.join("\n  ")}`,
    remedy: `See \`${help} --help\`.`,
    details: Object.fromEntries(lines.map((line, index) => [`problem${index + 1}`, line])),
  });
}
