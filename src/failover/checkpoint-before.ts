/**
 * What comes before a switchover: the primary writes now what its shutdown would write while clients wait.
 *
 * It may take long, and is no step of the plan: until it has ended nothing is begun, and the primary is watched as ever. One
 * that freezes meanwhile is replaced as if nobody had asked.
 */
import { LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import type { Call, FailoverPorts, NodeName } from "./ports.ts";

/** What it brings about, in the words of a plan's steps. */
export const CHECKPOINT_EFFECT = "the old primary has written what its shutdown would write";

/**
 * Returns when it is written; whatever else is seen of the primary is for whoever watches. Rejects with
 * `failover.switchover-refused` when it is not written in time, and with `platform.aborted`.
 */
export async function checkpointBefore(
  { nodes }: Pick<FailoverPorts, "nodes">,
  asked: { readonly primary: NodeName; readonly to: NodeName },
  call: Call,
): Promise<void> {
  const { primary, to } = asked;
  try {
    await nodes.find(({ name }) => name === primary)?.checkpoint(call);
  } catch (error) {
    if (call.signal?.aborted === true) throw error;
    throw new LifeboatError("failover.switchover-refused", {
      message: `${to} does not take over: ${primary} wrote no checkpoint within ${call.timeoutMs} ms: ${errorText(error)}`,
      remedy:
        "See whether its disk is slow, and who is the primary now: lifeboat failover --check-only. Then ask again.",
      cause: error,
    });
  }
}
