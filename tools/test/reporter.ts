/**
 * A node:test reporter that writes one line of JSON per finished test, read by run-file.ts.
 */

import { AssertionError } from "node:assert";
import type { TestEvent } from "node:test/reporters";
import { inspect } from "node:util";

/** One finished test, or the start of one (`begin`): a begin without an end names what hung. */
export type TestLine =
  | { readonly kind: "begin" | "pass" | "skip"; readonly name: string }
  | { readonly kind: "fail"; readonly name: string; readonly error: string };

/** Turns the events of one test file into lines. Suites are not tests and are left out unless they fail by themselves. */
export default async function* reporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    const line = lineOf(event);
    if (line !== undefined) yield `${JSON.stringify(line)}\n`;
  }
}

function lineOf(event: TestEvent): TestLine | undefined {
  if (event.type === "test:dequeue") return { kind: "begin", name: event.data.name };
  if (event.type === "test:pass") {
    const { name, skip, todo, details } = event.data;
    if (skip !== undefined || todo !== undefined) return { kind: "skip", name };
    return details.type === "suite" ? undefined : { kind: "pass", name };
  }
  if (event.type === "test:fail") {
    const { name, details } = event.data;
    const { error } = details;
    if ("failureType" in error && error.failureType === "subtestsFailed") return undefined;
    return { kind: "fail", name, error: describe(error.cause ?? error) };
  }
  return undefined;
}

/** The message, the stack without the test runner's own frames, and the causes. */
function describe(error: unknown): string {
  const text = error instanceof AssertionError ? (error.stack ?? error.message) : inspect(error, { depth: 4 });
  return text.replace(/^ +at .*\(?node:(internal|async_hooks).*\n?/gm, "").trimEnd();
}
