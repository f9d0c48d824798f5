/**
 * One of the probe's connections, with the loop that keeps it open and sends operations over it, one at a time.
 *
 * Invariants: a statement is sent as soon as it is taken from the queue, on a session that is not known to be broken: from
 * then on nothing but an answer proves that a write did not commit; a session that broke, or whose server or pooler took
 * leave of it, is used no more.
 */
import type pg from "pg";
import type { Clock, Monotonic } from "../platform/clock.ts";
import { startTimer } from "../platform/timer.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { breakOff, newSession } from "../postgres/session.ts";
import type { Arrival, ArrivalQueue } from "./arrivals.ts";
import {
  isSessionUsable,
  type Outcome,
  outcomeOfFailure,
  outcomeOfRead,
  outcomeOfWarning,
  REASONS,
  reasonOf,
} from "./outcome.ts";
import { insertOf, selectOf } from "./write-table.ts";

/** How an operation ended, and when. */
export type Answered = {
  readonly outcome: Outcome;
  readonly at: Monotonic;
  /** A read that was answered, but without the row it asked for. */
  readonly rowMissing: boolean;
};

/** What a lane needs. */
export type LaneOptions = {
  readonly clock: Clock;
  readonly clientId: string;
  readonly queue: ArrivalQueue;
  /** Where to connect now. */
  readonly endpoint: () => { readonly connect: ConnectOptions; readonly left: AbortSignal };
  /** The acknowledged write that a read asks for; undefined while there is none. */
  readonly rowToRead: (read: number) => number | undefined;
  /** How long a sent operation may go without an answer. */
  readonly answerDeadlineMs: number;
  readonly connectFailed: (reason: string) => void;
  /** Told of every operation taken from the queue, at the moment its answer came or was given up; waited for. */
  readonly answered: (arrival: Arrival, end: Answered) => Promise<void>;
  /** Ends the lane after the operation under way. */
  readonly signal: AbortSignal;
};

/** Before a lane connects again: short beside any outage worth measuring, long beside the cost of logging in. */
const RECONNECT_PAUSE_MS = 50;

/** Runs a lane until its signal aborts. Never rejects: whatever goes wrong is an outcome or a reason. */
export async function runLane(options: LaneOptions): Promise<void> {
  while (!options.signal.aborted) {
    const { connect, left } = options.endpoint();
    // No settings of its own: a pooler hands its sessions to others, and takes no startup options from us.
    const session = newSession(connect);
    const stop = AbortSignal.any([options.signal, left]);
    const giveUp = () => breakOff(session);
    stop.addEventListener("abort", giveUp, { once: true });
    try {
      await session.connect();
    } catch (cause) {
      if (stop.aborted) continue;
      options.connectFailed(reasonOf(cause));
      breakOff(session);
      await pause(options, stop);
      continue;
    } finally {
      // From here on the operation under way is finished first.
      stop.removeEventListener("abort", giveUp);
    }
    await serve(session, stop, options);
    breakOff(session);
    await pause(options, stop);
  }
}

/** Over at once when the lane shall end or go elsewhere. */
async function pause({ clock }: LaneOptions, signal: AbortSignal): Promise<void> {
  await clock.sleep(RECONNECT_PAUSE_MS, { signal }).catch(() => undefined);
}

async function serve(session: pg.Client, stop: AbortSignal, options: LaneOptions): Promise<void> {
  const lost = new AbortController();
  session.once("error", () => lost.abort());
  session.once("end", () => lost.abort());
  const until = AbortSignal.any([stop, lost.signal]);
  for (;;) {
    const arrival = await options.queue.take(until);
    if (arrival === undefined) return;
    const { usable, ...end } = await send(session, arrival, options);
    await options.answered(arrival, { ...end, at: options.clock.monotonic() });
    if (!usable) return;
  }
}

type Sent = Omit<Answered, "at"> & { readonly usable: boolean };

async function send(session: pg.Client, arrival: Arrival, options: LaneOptions): Promise<Sent> {
  let late = false;
  const cancel = startTimer(options.answerDeadlineMs, () => {
    late = true;
    breakOff(session);
  });
  try {
    return arrival.kind === "write" ? await write(session, arrival, options) : await read(session, arrival, options);
  } catch (cause) {
    const outcome: Outcome = late ? { kind: "unknown", reason: REASONS.answerDeadline } : outcomeOfFailure(cause);
    return {
      outcome: arrival.kind === "write" ? outcome : outcomeOfRead(outcome),
      rowMissing: false,
      usable: isSessionUsable(cause),
    };
  } finally {
    cancel();
  }
}

async function write(session: pg.Client, arrival: Arrival, options: LaneOptions): Promise<Sent> {
  let warning: Outcome | undefined;
  const onNotice = (notice: { readonly code?: string | undefined }): void => {
    warning = outcomeOfWarning(notice.code);
  };
  session.on("notice", onNotice);
  try {
    await session.query(insertOf({ clientId: options.clientId, sequence: arrival.sequence }, options.clock.now()));
    return { outcome: warning ?? { kind: "ok" }, rowMissing: false, usable: true };
  } catch (cause) {
    if (warning === undefined) throw cause;
    return { outcome: warning, rowMissing: false, usable: isSessionUsable(cause) };
  } finally {
    session.removeListener("notice", onNotice);
  }
}

async function read(session: pg.Client, arrival: Arrival, options: LaneOptions): Promise<Sent> {
  const sequence = options.rowToRead(arrival.sequence);
  const { rows } = await session.query(selectOf({ clientId: options.clientId, sequence: sequence ?? 0 }));
  return { outcome: { kind: "ok" }, rowMissing: sequence !== undefined && rows.length === 0, usable: true };
}
