/**
 * One of the client's connections, with the loop that keeps it open and sends writes over it, one at a time.
 */
import type pg from "pg";
import type { Clock, Monotonic } from "../../platform/clock.ts";
import { startTimer } from "../../platform/timer.ts";
import type { ConnectOptions } from "../../postgres/replication.ts";
import { breakOff, newSession } from "../session.ts";
import type { Arrival, ArrivalQueue } from "./arrivals.ts";
import { type Outcome, outcomeOfFailure, outcomeOfWarning, REASONS, reasonOf } from "./outcome.ts";
import { insertOf } from "./write-table.ts";

/** What a lane needs. */
export type LaneOptions = {
  readonly clock: Clock;
  readonly clientId: string;
  readonly queue: ArrivalQueue;
  /** Where to connect now. */
  readonly endpoint: () => { readonly connect: ConnectOptions; readonly left: AbortSignal };
  /** How long a sent write may go without an answer. */
  readonly answerDeadlineMs: number;
  readonly connectFailed: (reason: string) => void;
  /** Told of every write taken from the queue, at the moment its answer came or was given up; waited for. */
  readonly answered: (arrival: Arrival, end: { readonly outcome: Outcome; readonly at: Monotonic }) => Promise<void>;
  /** Ends the lane after the write under way. */
  readonly signal: AbortSignal;
};

/** Between two attempts to connect: short beside any outage worth measuring, long beside the cost of an attempt. */
const RECONNECT_PAUSE_MS = 100;

/** An answer means: flushed here and on the synchronous standby, and a cancelled wait is told (rule B11). */
const SETTINGS = { synchronous_commit: "on", client_min_messages: "warning" };

/** Runs a lane until its signal aborts. Never rejects: whatever goes wrong is an outcome or a reason. */
export async function runLane(options: LaneOptions): Promise<void> {
  while (!options.signal.aborted) {
    const { connect, left } = options.endpoint();
    const session = newSession(connect, SETTINGS);
    const stop = AbortSignal.any([options.signal, left]);
    const giveUp = () => breakOff(session);
    stop.addEventListener("abort", giveUp, { once: true });
    try {
      await session.connect();
    } catch (cause) {
      if (stop.aborted) continue;
      options.connectFailed(reasonOf(cause));
      breakOff(session);
      await options.clock.sleep(RECONNECT_PAUSE_MS, { signal: stop }).catch(() => undefined);
      continue;
    } finally {
      // From here on the write under way is finished first.
      stop.removeEventListener("abort", giveUp);
    }
    await serve(session, stop, options);
    breakOff(session);
  }
}

async function serve(session: pg.Client, stop: AbortSignal, options: LaneOptions): Promise<void> {
  const lost = new AbortController();
  session.once("error", () => lost.abort());
  session.once("end", () => lost.abort());
  const until = AbortSignal.any([stop, lost.signal]);
  for (;;) {
    const arrival = await options.queue.take(until);
    if (arrival === undefined) return;
    const outcome = await send(session, arrival, options);
    await options.answered(arrival, { outcome, at: options.clock.monotonic() });
  }
}

async function send(session: pg.Client, arrival: Arrival, options: LaneOptions): Promise<Outcome> {
  let warning: Outcome | undefined;
  let late = false;
  const onNotice = (notice: { readonly code?: string | undefined }): void => {
    warning = outcomeOfWarning(notice.code);
  };
  session.on("notice", onNotice);
  const cancel = startTimer(options.answerDeadlineMs, () => {
    late = true;
    breakOff(session);
  });
  try {
    await session.query(insertOf({ clientId: options.clientId, sequence: arrival.sequence }, options.clock.now()));
    return warning ?? { kind: "ok" };
  } catch (cause) {
    if (late) return { kind: "unknown", reason: REASONS.answerDeadline };
    return warning ?? outcomeOfFailure(cause);
  } finally {
    cancel();
    session.removeListener("notice", onNotice);
  }
}
