/**
 * How many programs a component has: recorded beside the stack, so that a start brings up as many.
 * docs/formats/stack-scale.md is the specification.
 */
import { z } from "zod";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import { writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { RandomSource } from "../platform/random.ts";
import { refuseOtherApplication } from "./application-role.ts";
import { allRun, componentOf, INSTANCES_MAX, type Scalable } from "./instances.ts";
import { refuseWhilePaused } from "./paused-poolers.ts";
import { startStepOf } from "./plan.ts";
import { runStep } from "./run-step.ts";
import type { StackDescription } from "./stack.ts";
import { type CallOptions, runningComponents, type StackTools } from "./tools.ts";

const recordSchema = z.strictObject({
  format: z.literal("lifeboat-stack-scale"),
  version: z.literal(1),
  instances: z.strictObject({
    pgbouncer: z.int().min(1).max(INSTANCES_MAX),
    // Not there in a record of before there was an API.
    api: z.int().min(1).max(INSTANCES_MAX).optional(),
  }),
});

/** The stack with as many programs as were recorded, else one of each. Rejects with `stack.record-damaged`. */
export async function scaleInUse(files: Files, stack: StackDescription): Promise<StackDescription> {
  const file = stack.place.scaleFile;
  if ((await files.stat(file)) === undefined) return stack;
  try {
    const { instances } = recordSchema.parse(JSON.parse((await files.readFile(file)).toString("utf8")));
    return { ...stack, poolers: instances.pgbouncer, apis: instances.api ?? stack.apis };
  } catch (cause) {
    if (isLifeboatError(cause)) throw cause;
    throw new LifeboatError("stack.record-damaged", {
      message: `${file} does not say how many programs the stack has: ${errorText(cause)}`,
      remedy: "Remove this file; the stack has one of each then, until it is scaled again.",
      cause,
    });
  }
}

/** The stack with so many programs of a component. */
export function scaled(stack: StackDescription, component: Scalable, count: number): StackDescription {
  switch (component) {
    case "pgbouncer":
      return { ...stack, poolers: count };
    case "api":
      return { ...stack, apis: count };
  }
}

/** Records how many programs a stack has, durably. */
export async function recordScale(
  { files, random }: { readonly files: Files; readonly random: RandomSource },
  stack: StackDescription,
  options: CallOptions,
): Promise<void> {
  const record = {
    format: "lifeboat-stack-scale",
    version: 1,
    instances: { pgbouncer: stack.poolers, api: stack.apis },
  };
  const parts = [Buffer.from(`${JSON.stringify(record)}\n`)];
  const unique = random(8).toString("hex");
  await writeDurable(files, {
    file: stack.place.scaleFile,
    parts,
    over: "replace",
    permissions: 0o644,
    unique,
    signal: options.signal,
  });
}

/** What came of it: `down`, the stack does not run and comes up with as many. */
export type ScaleResult = "done" | "unchanged" | "down";

/**
 * Records how many programs of a component `stack` has, and has as many run where the stack runs. Repeatable; cut short, the
 * next start goes on. Rejects as `runStackUp` does, and with `stack.application-role-changed` where only that may go over to another role.
 */
export async function runScale(
  tools: StackTools,
  stack: StackDescription,
  component: Scalable,
  options: CallOptions,
): Promise<ScaleResult> {
  if (component === "pgbouncer") await refuseWhilePaused(tools, stack);
  await refuseOtherApplication(tools.files, stack);
  await recordScale(tools, stack, options);
  const running = await runningComponents(tools.platform, options);
  if (![...running].some((name) => componentOf(name) === component)) return "down";
  const stepTools = { ...tools, stack, onRecoveryKey: () => undefined };
  // Each knows first how many connections to the server are its own, and the daemons know first whom to drive: a pooler that none of
  // them drives would lead to an old primary after a failover. Also where as many run: an earlier scaling was perhaps cut short.
  // The balancer sends nothing to an instance that goes before it has gone, nor to one that comes before it is there.
  const configured = await runStep(stepTools, "config", options);
  if (allRun(stack, component, running)) return configured ? "done" : "unchanged";
  await runStep(stepTools, startStepOf(component, stack), options);
  return "done";
}
