/**
 * A store that fails on command, to test what uses one.
 *
 * Nouns: an *effect* is one call of the store, counted from 1 in the order of the calls; a *fault* says at which effect
 * what goes wrong. Listing is one effect: it fails before its first object, or after its last.
 * Invariants: without faults nothing differs from the store beneath; a fault that never fired is an error to whoever
 * asks (`assertFired`), since the test that planned it tested nothing.
 */
import { assert, LifeboatError } from "../../errors/error.ts";
import type { Clock } from "../../platform/clock.ts";
import type { ObjectFacts, Store, StoreOptions } from "../store.ts";

/** The calls of a store. */
export type StoreOperation = "put" | "get" | "getRange" | "head" | "list" | "delete";

/** When a fault strikes: at the `at`-th effect, from 1; with `on`, at the `at`-th effect of that kind. */
type FaultTime = { readonly at: number; readonly on?: StoreOperation };

/** What goes wrong. */
export type StoreFault = FaultTime &
  (
    | { readonly kind: "fail-before" }
    /** It was done, and the acknowledgement was lost. */
    | { readonly kind: "fail-after" }
    | { readonly kind: "disk-full" }
    /** A get or getRange hands back only its first `keptBytes`. */
    | { readonly kind: "torn"; readonly keptBytes: number }
    /** A get or getRange hands back one byte with a bit flipped. */
    | { readonly kind: "flipped"; readonly offset: number }
    | { readonly kind: "delay"; readonly durationMs: number }
  );

/** A store with faults, and an account of what was asked of it. */
export type FaultyStore = {
  readonly store: Store;
  /** All effects so far, the failed ones too. */
  readonly effects: readonly { readonly operation: StoreOperation; readonly key: string }[];
  /** Raises `platform.assertion-failed` when a planned fault has not fired. */
  assertFired(): void;
};

/** Puts faults in front of a store. Without faults it only keeps account. */
export function faultyStore(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly faults?: readonly StoreFault[];
}): FaultyStore {
  const plan = new FaultPlan(options.faults ?? [], options.clock);
  return {
    store: wrapStore(options.store, plan),
    effects: plan.effects,
    assertFired: () => plan.assertFired(),
  };
}

type Call = { readonly operation: StoreOperation; readonly key: string; readonly signal: AbortSignal | undefined };

class FaultPlan {
  readonly effects: { readonly operation: StoreOperation; readonly key: string }[] = [];
  readonly #waiting: Set<StoreFault>;
  readonly #clock: Clock;

  constructor(faults: readonly StoreFault[], clock: Clock) {
    this.#waiting = new Set(faults);
    this.#clock = clock;
  }

  /** Counts the effect and takes its faults from the plan; carries out those that come before it. */
  async begin(call: Call): Promise<readonly StoreFault[]> {
    this.effects.push({ operation: call.operation, key: call.key });
    const all = this.effects.length;
    const alike = this.effects.filter(({ operation }) => operation === call.operation).length;
    const due = [...this.#waiting].filter(
      (fault) =>
        (fault.on === undefined ? all : fault.on === call.operation ? alike : 0) === fault.at && fits(fault, call),
    );
    for (const fault of due) {
      this.#waiting.delete(fault);
      if (fault.kind === "delay") await this.#clock.sleep(fault.durationMs, { signal: call.signal });
      if (fault.kind === "fail-before") throw failed(call, "as planned, before it was done");
      if (fault.kind === "disk-full") throw diskFull(call);
    }
    return due;
  }

  assertFired(): void {
    const left = [...this.#waiting].map(({ kind, at }) => `${kind} at ${at}`).join(", ");
    assert(left === "", `every planned fault fired, but: ${left}`);
  }
}

function wrapStore(store: Store, plan: FaultPlan): Store {
  const run = async <T>(call: Call, work: () => Promise<T>): Promise<{ result: T; due: readonly StoreFault[] }> => {
    const due = await plan.begin(call);
    const result = await work();
    if (due.some(({ kind }) => kind === "fail-after")) throw failed(call, "as planned, after it was done");
    return { result, due };
  };
  const read = async (call: Call, work: () => Promise<Buffer>): Promise<Buffer> => {
    const { result, due } = await run(call, work);
    return due.reduce(damage, result);
  };
  const call = (operation: StoreOperation, key: string, options: StoreOptions | undefined): Call => ({
    operation,
    key,
    signal: options?.signal,
  });
  return {
    name: store.name,
    put: async (key, parts, options) => {
      await run(call("put", key, options), () => store.put(key, parts, options));
    },
    get: (key, options) => read(call("get", key, options), () => store.get(key, options)),
    getRange: (key, range, options) => read(call("getRange", key, options), () => store.getRange(key, range, options)),
    head: async (key, options) => (await run(call("head", key, options), () => store.head(key, options))).result,
    list: (prefix, options) => listFaulty(plan, call("list", prefix, options), store.list(prefix, options)),
    delete: async (key, options) => {
      await run(call("delete", key, options), () => store.delete(key, options));
    },
  };
}

async function* listFaulty(
  plan: FaultPlan,
  call: Call,
  objects: AsyncIterable<ObjectFacts>,
): AsyncIterable<ObjectFacts> {
  const due = await plan.begin(call);
  yield* objects;
  if (due.some(({ kind }) => kind === "fail-after")) throw failed(call, "as planned, after its last object");
}

/** Bytes can only be damaged where bytes are handed back: elsewhere the fault stays in the plan, and `assertFired` tells. */
function fits(fault: StoreFault, call: Call): boolean {
  return (
    (fault.kind !== "torn" && fault.kind !== "flipped") || call.operation === "get" || call.operation === "getRange"
  );
}

function damage(bytes: Buffer, fault: StoreFault): Buffer {
  if (fault.kind === "torn") return bytes.subarray(0, fault.keptBytes);
  if (fault.kind !== "flipped") return bytes;
  assert(
    fault.offset < bytes.byteLength,
    `byte ${fault.offset} to be flipped lies in the ${bytes.byteLength} bytes read`,
  );
  const flipped = Buffer.from(bytes);
  flipped[fault.offset] = (flipped[fault.offset] ?? 0) ^ 1;
  return flipped;
}

function failed(call: Call, reason: string): LifeboatError {
  return new LifeboatError("store.failed", {
    message: `${call.operation} of ${call.key} failed ${reason}`,
    remedy: "Try again.",
    retryable: true,
  });
}

function diskFull(call: Call): LifeboatError {
  return new LifeboatError("platform.disk-full", {
    message: `${call.operation} of ${call.key} found the disk full, as planned`,
    remedy: "Free space, then run the same command again.",
    retryable: true,
  });
}
