/** Ports of failover for a test that expects few calls: whatever it does not provide fails the test by name. */
import type { FailoverPorts, HeldLease, JournalEntry } from "../../src/failover/ports.ts";
import type { Clock, Instant, Monotonic } from "../../src/platform/clock.ts";

/** A port on which nothing is expected but what is given. */
export function only<T extends object>(name: string, given: Partial<T>): T {
  return new Proxy(given, {
    get: (target, key) => {
      if (key in target) return Reflect.get(target, key) as unknown;
      throw new Error(`${name}.${String(key)} is not expected`);
    },
  }) as T;
}

/** A clock on which waiting takes no time but the time that is waited. */
export function leapingClock(): Clock {
  let now = 0;
  return {
    now: () => now as Instant,
    monotonic: () => now as Monotonic,
    sleep: async (durationMs, { signal }) => {
      await Promise.resolve();
      signal?.throwIfAborted();
      now += durationMs;
    },
  };
}

/** Ports with a leaping clock and a journal that is kept. */
export function portsFor(
  given: Partial<FailoverPorts>,
): FailoverPorts & { readonly written: readonly JournalEntry[]; readonly told: readonly string[] } {
  const written: JournalEntry[] = [];
  const told: string[] = [];
  const usual: Partial<FailoverPorts> = {
    clock: leapingClock(),
    random: (length) => Buffer.alloc(length),
    poolers: [],
    journal: {
      append: async (entry) => {
        written.push(entry);
      },
    },
    hooks: {
      tell: ({ kind, facts }) => {
        told.push(`${kind} ${String(facts["code"] ?? "")}`.trim());
      },
    },
  };
  return Object.assign(only<FailoverPorts>("ports", { ...usual, ...given }), { written, told });
}

/** A lease of epoch 8 that holds, or does not. */
export function leaseThat(holds: boolean): HeldLease {
  return {
    epoch: 8 as HeldLease["epoch"],
    holds: () => holds,
    renew: async () => undefined,
    end: async () => undefined,
  };
}
