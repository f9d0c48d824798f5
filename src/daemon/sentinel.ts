/**
 * Notices at once that a server is gone: by an idle session with each node, which ends when its server does.
 *
 * Nouns: a *sentinel* is such a session; to *wake* is to end whatever waits.
 * Invariant: it only wakes. What is wrong, if anything, the next look finds out: a session can end for many reasons.
 */
import pg from "pg";
import type { Clock } from "../platform/clock.ts";
import { guardedSocket } from "../platform/guarded-socket.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { forgetEnvironment, ownOptions } from "../postgres/session-settings.ts";
import { loopService, type Service, ServiceGroup } from "./service.ts";

/** A clock whose sleepers can be woken. */
export type WakeableClock = { readonly clock: Clock; readonly wake: () => void };

/** Between two looks nobody sleeps longer, and a look takes no longer: who was looking when all were woken is woken then. */
const LOOK_MS_MAX = 1_000;

/** Wraps a clock: `wake` ends every sleep under way, and the next short one of whoever was awake. */
export function wakeableClock(inner: Clock): WakeableClock {
  const sleepers = new Set<AbortController>();
  let wokenAt: number | undefined;
  return {
    clock: {
      now: () => inner.now(),
      monotonic: () => inner.monotonic(),
      sleep: async (durationMs, { signal }) => {
        if (wokenAt !== undefined && durationMs <= LOOK_MS_MAX && signal?.aborted !== true) {
          const late = inner.monotonic() - wokenAt <= LOOK_MS_MAX;
          wokenAt = undefined;
          if (late) return;
        }
        const woken = new AbortController();
        sleepers.add(woken);
        try {
          const either = signal === undefined ? woken.signal : AbortSignal.any([signal, woken.signal]);
          await inner.sleep(durationMs, { signal: either });
        } catch (error) {
          if (!woken.signal.aborted || signal?.aborted === true) throw error;
        } finally {
          sleepers.delete(woken);
        }
      },
    },
    wake: () => {
      wokenAt = inner.monotonic();
      for (const sleeper of sleepers) sleeper.abort();
    },
  };
}

/** Between two attempts to post a sentinel at a node that is not there. */
const AGAIN_MS = 500;
const CONNECT_TIMEOUT_MS = 2_000;

/** Keeps a sentinel at each address; `lost` is called when one ends. */
export function sentinelService(clock: Clock, addresses: readonly ConnectOptions[], lost: () => void): Service {
  const loops = addresses.map((address) =>
    loopService(
      `sentinel at ${address.host}:${address.port}`,
      (signal) => keep(clock, { address, lost, signal }),
      // It never ends but by the signal.
      () => undefined,
    ),
  );
  return new ServiceGroup("sentinels", loops);
}

async function keep(
  clock: Clock,
  {
    address,
    lost,
    signal,
  }: { readonly address: ConnectOptions; readonly lost: () => void; readonly signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    if (await watchOnce(address, signal)) lost();
    await clock.sleep(AGAIN_MS, { signal }).catch(() => undefined);
  }
}

/** True when a session was there and ended by itself. */
async function watchOnce(address: ConnectOptions, signal: AbortSignal): Promise<boolean> {
  const client = new pg.Client({
    host: address.host,
    port: address.port,
    user: address.user,
    database: address.database ?? "postgres",
    password: () => address.password ?? "",
    application_name: "lifeboat_sentinel",
    ssl: false,
    stream: () => guardedSocket(),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // A limit for idle clients would end it again and again.
  forgetEnvironment(client, { options: ownOptions() });
  client.on("error", () => undefined);
  const ended = new Promise<void>((resolve) => client.once("end", () => resolve()));
  const leave = (): void => {
    client.connection.stream.destroy();
  };
  signal.addEventListener("abort", leave, { once: true });
  try {
    await client.connect();
    await ended;
    return !signal.aborted;
  } catch {
    client.connection.stream.destroy();
    return false;
  } finally {
    signal.removeEventListener("abort", leave);
  }
}
