/** Restarts a component of a stack, and waits until it does its work again. */

import type { ComponentName } from "./component-names.ts";
import { instancesOf } from "./instances.ts";
import { startStepOf } from "./plan.ts";
import { awaitEffect } from "./run-step.ts";
import type { StepLookTools } from "./steps.ts";
import type { CallOptions } from "./tools.ts";

/**
 * Restarts it as it was started last; of several poolers one after another, so that the others take new clients meanwhile. Rejects with `platform.component-unknown` where it never was, with
 * `platform.component-fenced`, or with `stack.step-failed` and the last words of its log.
 */
export async function restartComponent(
  tools: StepLookTools,
  component: ComponentName,
  options: CallOptions,
): Promise<{ readonly durationMs: number }> {
  const begun = tools.clock.monotonic();
  for (const name of instancesOf(tools.stack, component)) {
    await tools.platform.restart(name, options);
    await awaitEffect(tools, startStepOf(component, tools.stack), options);
  }
  return { durationMs: Math.round(tools.clock.monotonic() - begun) };
}
