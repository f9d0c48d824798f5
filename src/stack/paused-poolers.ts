/** Whether somebody has the poolers of a stack paused. Changes nothing. */
import path from "node:path";
import { LifeboatError } from "../errors/error.ts";
import { HOLD_ENDING } from "../pooler/hold-file.ts";
import type { StackDescription } from "./stack.ts";
import type { StackTools } from "./tools.ts";

/**
 * Who acts renews a hold every few seconds, and the watchdog ends what is not renewed: one of this age is left over, and whoever
 * would mend its pooler by restarting it must not be held up by it.
 */
const LEFT_OVER_MS = 60_000;

/**
 * Rejects with `stack.busy` while somebody has them paused: a pooler that starts in the middle of a switch is not paused, and its
 * clients would reach the server that is being left.
 */
export async function refuseWhilePaused(
  { files, clock }: Pick<StackTools, "files" | "clock">,
  stack: StackDescription,
): Promise<void> {
  const folder = stack.place.configOf("pgbouncer");
  const entries = (await files.stat(folder)) === undefined ? [] : await files.list(folder);
  const holds = entries.filter(({ name }) => name.endsWith(HOLD_ENDING));
  const facts = await Promise.all(holds.map(({ name }) => files.stat(path.join(folder, name))));
  // One that went meanwhile was taken back by whoever made it.
  const isHeld = facts.some((each) => each !== undefined && clock.now() - each.modifiedMs < LEFT_OVER_MS);
  if (!isHeld) return;
  throw new LifeboatError("stack.busy", {
    message: `somebody has the poolers of stack ${stack.name} paused`,
    remedy: "Wait until the switch is over: `lifeboat pooler status` with the stack's own file shows who pauses them.",
    retryable: true,
  });
}
