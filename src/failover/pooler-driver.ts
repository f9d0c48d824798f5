/** The pooler port of failover over a real PgBouncer (src/pooler/): nodes by their names, and every call within its time. */
import { assert, LifeboatError } from "../errors/error.ts";
import { abortedError } from "../platform/clock.ts";
import { startTimer } from "../platform/timer.ts";
import { isSameServer, type Pooler, type ServerAddress } from "../pooler/pooler.ts";
import type { Timeline } from "../postgres/lsn.ts";
import type { Call, Done, Epoch, NodeName, Order, PoolerPort, PoolerView, StaleEpoch } from "./ports.ts";

/** What drives a pooler, and what it leads to. */
export type PoolerDriverSetup = {
  readonly pooler: Pooler;
  /** Where the pooler finds each node. */
  readonly addressOf: ReadonlyMap<NodeName, ServerAddress>;
  /** Logs in to a node as the pool's user, from where the pooler runs, and goes again. */
  readonly logIn: (server: ServerAddress, options: { readonly signal: AbortSignal }) => Promise<void>;
  /** A write through the pooler, and the timeline of who wrote. */
  readonly write: (options: { readonly signal: AbortSignal }) => Promise<Timeline>;
};

/** The port. */
export function poolerPort(setup: PoolerDriverSetup): PoolerPort {
  const { pooler, addressOf } = setup;
  const addressed = (node: NodeName): ServerAddress => {
    const address = addressOf.get(node);
    assert(address !== undefined, `the pooler knows where node ${node} is`);
    return address;
  };
  return {
    name: pooler.name,
    view: (call) => within(call, async (options) => await viewOf(setup, options)),
    pause: (order, call) =>
      within(call, async (options) => {
        const answer = await pooler.pause(order, options);
        switch (answer.kind) {
          case "done":
            return DONE;
          case "not-drained":
            return answer;
          case "stale-epoch":
            return stale(answer);
        }
      }),
    resume: (order, call) => within(call, async (options) => actOf(await pooler.resume(order, options))),
    repoint: ({ epoch, node }, call) =>
      within(call, async (options) => actOf(await pooler.repoint({ epoch, server: addressed(node) }, options))),
    dropDead: ({ epoch, node }: Order<{ readonly node: NodeName }>, call) =>
      within(call, async (options) => actOf(await pooler.dropDead({ epoch, server: addressed(node) }, options))),
    canLogIn: (node, call) =>
      within(call, async (options) => {
        try {
          await setup.logIn(addressed(node), options);
          return true;
        } catch {
          // Whatever hinders the pool hinders the switch; which it was stands in the logs of both.
          options.signal.throwIfAborted();
          return false;
        }
      }),
    proveWrite: (call) => within(call, async (options) => ({ timeline: await setup.write(options) })),
  };
}

const DONE: Done = { kind: "done" };

async function viewOf(
  { pooler, addressOf }: PoolerDriverSetup,
  options: { readonly signal: AbortSignal },
): Promise<PoolerView> {
  const { epoch, mode, databases } = await pooler.state(options);
  // Databases that lead to different servers lead to no node: somebody else's hand.
  const target = [...addressOf].find(
    ([, address]) => databases.length > 0 && databases.every(({ server }) => isSameServer(server, address)),
  )?.[0];
  return { epoch, mode, target };
}

function actOf(answer: { readonly kind: string } | { readonly kind: "stale-epoch"; readonly seen: number }) {
  return "seen" in answer ? stale(answer) : DONE;
}

function stale({ seen }: { readonly seen: number }): StaleEpoch {
  // The only numbers that a pooler has seen are epochs.
  return { kind: "stale-epoch", seen: seen as Epoch };
}

/** Runs a call in its time. */
async function within<T>(
  { timeoutMs, signal }: Call,
  work: (options: { readonly signal: AbortSignal }) => Promise<T>,
): Promise<T> {
  const attempt = new AbortController();
  const stop = (): void => attempt.abort(signal?.reason);
  if (signal?.aborted === true) stop();
  signal?.addEventListener("abort", stop, { once: true });
  const cancel = startTimer(timeoutMs, () => attempt.abort());
  try {
    return await work({ signal: attempt.signal });
  } catch (error) {
    if (signal?.aborted === true) throw abortedError("asking a pooler", signal.reason);
    if (attempt.signal.aborted) throw tooLate(timeoutMs, error);
    throw error;
  } finally {
    cancel();
    signal?.removeEventListener("abort", stop);
  }
}

function tooLate(timeoutMs: number, cause: unknown): LifeboatError {
  return new LifeboatError("pooler.unreachable", {
    message: `a pooler was not done within ${timeoutMs} ms`,
    remedy: "Look at it again: what it was told may have its effect yet.",
    retryable: true,
    cause,
  });
}
