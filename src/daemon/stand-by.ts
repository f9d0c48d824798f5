/**
 * A daemon that stands by: it has everything loaded and its sessions open, holds nothing, and takes the place of the one that
 * controls the stack at the moment that one ends.
 *
 * Nouns: the *place* is the kernel lock that whoever controls the stack holds; the *warm-up* is what one that stands by does
 * now and then, and when a server ends: it looks, so that its first look with the place is as quick as its hundredth, and knows
 * what was seen before.
 * Invariants: without the place nothing is ordered, claimed or written; the kernel frees the place when its holder is dead and
 * not before, so that one that is only slow or frozen keeps it; the end is noticed by a connection that it closes, not by looking.
 */
import net from "node:net";
import { LifeboatError } from "../errors/error.ts";
import { abortedError, type Clock, untilAborted } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { Lock, Locks } from "../platform/lock.ts";
import { loopService, type Service, ServiceGroup } from "./service.ts";
import { type Answerer, socketServer } from "./socket-server.ts";

/** What standing by needs. */
export type StandByTools = {
  readonly files: Files;
  readonly locks: Locks;
  readonly clock: Clock;
  /**
   * What the first look needs is looked at, and nothing changed; true: the next one is to follow at once. What it rejects with
   * is of no consequence.
   */
  readonly warmUp: (options: { readonly signal: AbortSignal }) => Promise<boolean>;
  /** By which the next look is waited for: whoever is told that a server ended wakes it. */
  readonly wakeable: Clock;
  /** This process, for whoever asks who stands by. */
  readonly pid: number;
};

/** Where. */
export type StandByPlace = {
  /** Of the place. */
  readonly lockFile: string;
  /** Where the one that holds it is asked. */
  readonly socket: string;
  /** Where the one that stands by is asked; and its lock: of several, one answers. */
  readonly own: { readonly socket: string; readonly lockFile: string };
};

/** Sessions that are kept are as warm as that; a look at two servers costs some hundredths of a second. */
const WARM_UP_MS = 1_000;
/** A server that has ended is looked at again: what is decided by several looks is then known when the place is free. */
const AT_ONCE_MS = 20;
/** Its sockets are closed a moment before or after its locks are free; and one that starts has the lock before it listens. */
const AGAIN_MS = 5;
/** The same when there is nothing to be noticed by: it starts, or is a command in the daemon's place, which ends by itself. */
const UNSEEN_MS = 50;

/** Until then whoever asks is told that one daemon does not work. */
const ALONE_LOOK_MS = 500;

/** Waits for the place and returns it; nothing but that lock is left of the standing by then. Rejects with `platform.aborted`. */
export async function standBy(
  tools: StandByTools,
  place: StandByPlace,
  { signal }: { readonly signal: AbortSignal },
): Promise<Lock> {
  const { files, locks, wakeable, warmUp } = tools;
  const told = locks.tryAcquire(place.own.lockFile);
  const services: Service[] = [
    loopService(
      "warm-up",
      (ending) => again(wakeable, warmUp, ending),
      () => undefined,
    ),
    told === undefined
      ? loopService(
          "answers",
          (ending) => answerWhenAlone(tools, place.own, ending),
          () => undefined,
        )
      : socketServer(files, place.own.socket, standingBy(tools.pid)),
  ];
  const group = new ServiceGroup("stand-by", services);
  try {
    await group.start({ signal });
    return await takePlace(tools, place, signal);
  } finally {
    // Not waited for: whoever has the place has something better to do.
    void group
      .stop()
      .catch(() => undefined)
      .finally(() => told?.release());
  }
}

/** Answers as soon as nobody else does: of two that stood by, the one that answered may have taken the place. */
async function answerWhenAlone(
  { files, locks, clock, pid }: StandByTools,
  own: StandByPlace["own"],
  signal: AbortSignal,
): Promise<void> {
  let lock = locks.tryAcquire(own.lockFile);
  while (lock === undefined) {
    await clock.sleep(ALONE_LOOK_MS, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    lock = locks.tryAcquire(own.lockFile);
  }
  const server = socketServer(files, own.socket, standingBy(pid));
  try {
    await server.start({ signal });
    await untilAborted(signal);
  } finally {
    await server.stop();
    lock.release();
  }
}

async function takePlace({ locks, clock }: StandByTools, place: StandByPlace, signal: AbortSignal): Promise<Lock> {
  for (;;) {
    const lock = locks.tryAcquire(place.lockFile);
    if (lock !== undefined) return lock;
    const seen = await untilGone(place.socket, signal);
    if (signal.aborted) throw abortedError("standing by", signal.reason);
    await clock.sleep(seen ? AGAIN_MS : UNSEEN_MS, { signal });
  }
}

/** Returns when whoever listens there has ended; false at once when nobody does. */
async function untilGone(socket: string, signal: AbortSignal): Promise<boolean> {
  const connection = net.connect(socket);
  let connected = false;
  const leave = (): void => {
    connection.destroy();
  };
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  try {
    await new Promise<void>((resolve) => {
      connection.once("connect", () => {
        connected = true;
      });
      connection.on("error", () => undefined);
      connection.once("close", () => resolve());
      // Nothing is said on it; what ends on the other side ends here.
      connection.resume();
    });
    return connected;
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

async function again(clock: Clock, warmUp: StandByTools["warmUp"], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const atOnce = await warmUp({ signal }).catch(() => false);
    await clock.sleep(atOnce ? AT_ONCE_MS : WARM_UP_MS, { signal }).catch(() => undefined);
  }
}

/** It says who it is, and does nothing. */
function standingBy(pid: number): Answerer {
  return async ({ call }) => {
    if (call === "hello") return { pid };
    throw new LifeboatError("daemon.request-unknown", {
      message: `a daemon that stands by was asked to ${call}`,
      remedy: "Ask the one that controls the stack: the command does so by itself.",
    });
  };
}
