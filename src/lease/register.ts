/**
 * A value that all who act agree on, guarded by epochs and by what its writer had read: the port.
 *
 * Invariants: a write replaces only the version that its writer has read, so that one that was long on its way undoes nothing;
 * what a greater epoch wrote is not replaced by a smaller one. A read sees every write that was answered before it.
 */
import type { Epoch } from "./lease.ts";

/** What lies in a register. `version` is 1 after the first write and grows by one with each. */
export type RegisterContent = { readonly version: number; readonly epoch: Epoch; readonly value: unknown };

/** A write. `over`: the version that was read; 0: there was none. `value` is what JSON can hold. */
export type RegisterWrite = { readonly over: number; readonly epoch: Epoch; readonly value: unknown };

/** What came of a write. */
export type RegisterAnswer =
  | { readonly kind: "written"; readonly version: number }
  /** A greater epoch wrote before: nothing was changed. */
  | { readonly kind: "stale"; readonly seen: Epoch }
  /** Another version is there: nothing was changed. */
  | { readonly kind: "conflict" };

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** The port. */
export interface Register {
  /** Undefined before the first write. Rejects with `lease.store-failed` or `lease.record-damaged`. */
  read(options: CallOptions): Promise<RegisterContent | undefined>;
  /** Durable when it is answered. Rejects as `read`; it may then be written or not. */
  write(write: RegisterWrite, options: CallOptions): Promise<RegisterAnswer>;
}

/** What a write comes to over what is there. Pure. */
export function judgeWrite(before: RegisterContent | undefined, { over, epoch }: RegisterWrite): RegisterAnswer {
  if (before !== undefined && before.epoch > epoch) return { kind: "stale", seen: before.epoch };
  if ((before?.version ?? 0) !== over) return { kind: "conflict" };
  return { kind: "written", version: over + 1 };
}
