/** Takes a stack down: stops its components in the order of plan.ts. Their data, logs and secrets stay. */
import type { Files } from "../platform/files.ts";
import { planDown } from "./plan.ts";
import { controlSocketOf, statsSocketOf } from "./render.ts";
import { liesApart } from "./shared-sockets.ts";
import type { StackDescription } from "./stack.ts";
import { type CallOptions, type StackTools, standingComponents } from "./tools.ts";

/** What is told while a stack goes down. */
export type DownEvent = {
  readonly component: string;
  readonly durationMs: number;
  /** It had not ended in its time. */
  readonly killed: boolean;
};

/**
 * Stops what runs, one after another, and removes the sockets' folder where it lies outside the stack's own. Repeatable.
 * Rejects with what stopping a component rejects with; those after it then still run.
 */
export async function runStackDown(
  tools: Pick<StackTools, "platform" | "clock"> & { readonly files: Files },
  stack: StackDescription,
  options: CallOptions & { readonly onEvent: (event: DownEvent) => void },
): Promise<readonly string[]> {
  const { platform, clock, files } = tools;
  const stopping = planDown(await standingComponents(platform, options));
  for (const component of stopping) {
    const begun = clock.monotonic();
    const { killed } = await platform.stop(component, options);
    options.onEvent({ component, durationMs: Math.round(clock.monotonic() - begun), killed });
  }
  if (liesApart(stack.place)) await files.removeTree(stack.place.sockets);
  // HAProxy leaves its sockets behind.
  else for (const socket of [statsSocketOf(stack), controlSocketOf(stack)]) await files.remove(socket);
  return stopping;
}
