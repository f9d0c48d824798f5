/**
 * A node:test reporter that writes one line of JSON per finished test, read by run-file.ts.
 */

import { AssertionError } from "node:assert";
import type { TestEvent } from "node:test/reporters";
import { inspect } from "node:util";

/** One finished test, or the start of one (`begin`): a begin without an end names what hung. */
export type TestLine = { readonly name: string; readonly file: string | undefined } & (
  | { readonly kind: "begin" }
  | { readonly kind: "pass" | "skip"; readonly durationMs: number }
  | { readonly kind: "fail"; readonly error: string; readonly durationMs: number }
);

/** Turns the events of one test file into lines. Suites are not tests and are left out unless they fail by themselves. */
export default async function* reporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    const line = lineOf(event);
    if (line !== undefined) yield `${JSON.stringify(line)}\n`;
  }
}

function lineOf(event: TestEvent): TestLine | undefined {
  if (event.type === "test:dequeue") return { kind: "begin", name: event.data.name, file: event.data.file };
  if (event.type === "test:pass") {
    const { name, file, skip, todo, details } = event.data;
    const durationMs = details.duration_ms;
    if (skip !== undefined || todo !== undefined) return { kind: "skip", name, file, durationMs };
    return details.type === "suite" ? undefined : { kind: "pass", name, file, durationMs };
  }
  if (event.type === "test:fail") {
    const { name, file, details } = event.data;
    const { error } = details;
    if ("failureType" in error && error.failureType === "subtestsFailed") return undefined;
    return { kind: "fail", name, file, error: describe(error.cause ?? error), durationMs: details.duration_ms };
  }
  return undefined;
}

/** The message, the stack without the test runner's own frames, and the causes. */
function describe(error: unknown): string {
  const text = error instanceof AssertionError ? (error.stack ?? error.message) : inspect(error, { depth: 4 });
  return text.replace(/^ +at .*\(?node:(internal|async_hooks).*\n?/gm, "").trimEnd();
}
