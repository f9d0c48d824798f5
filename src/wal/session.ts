/**
 * One connection to the server: agree on where to start, then receive, sync, confirm, over every timeline it has.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { formatLsn, segmentStart } from "../postgres/lsn.ts";
import type { ReplicationConnection } from "../postgres/replication.ts";
import { agreeOnStart } from "./agree.ts";
import { Reception } from "./reception.ts";
import type { Plan, SessionContext } from "./session-context.ts";

/** Receives until the connection fails, the signal aborts or something is wrong; always rejects. */
export async function runSession(
  connection: ReplicationConnection,
  context: SessionContext,
  call: { readonly signal: AbortSignal },
): Promise<never> {
  let before: Plan | undefined;
  let isNewSlot = false;
  for (;;) {
    const plan = await agreeOnStart(connection, context, call);
    if (before?.timeline === plan.timeline && before.streamFrom === plan.streamFrom) throw endedAgain(plan);
    before = plan;
    const reception = new Reception(context, plan);
    try {
      await reception.run(connection, call);
    } catch (error) {
      if (isLifeboatError(error, "postgres.wal-removed") && !reception.received) {
        const comparing = plan.streamFrom < segmentStart(plan.writeFrom, walSegmentBytes(context));
        const { what: known } = context.gone ?? {};
        const next = known === undefined || known === "comparison" ? "wal" : "copies";
        context.gone = { what: comparing && known === undefined ? "comparison" : next, at: plan.writeFrom };
      }
      if (!isLifeboatError(error, "postgres.slot-unusable") || isNewSlot) throw error;
      // 18 leaves its position to one that it invalidated for being idle, and refuses it here only. It keeps nothing: a new one
      // loses nothing, and what the server still has is received.
      await connection.dropSlot(context.options.slot, call);
      isNewSlot = true;
      before = undefined;
    }
  }
}

function walSegmentBytes({ spool }: SessionContext): number {
  return spool.state?.walSegmentBytes ?? 1;
}

function endedAgain(plan: Plan): LifeboatError {
  return new LifeboatError("postgres.protocol", {
    message: `the server ended timeline ${plan.timeline} at ${formatLsn(plan.streamFrom)} and has no other`,
    remedy: "Look at the server's log; the receiver tries again by itself.",
    retryable: true,
  });
}
