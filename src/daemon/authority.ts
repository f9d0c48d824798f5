/** Lease, record and journal as failover wants them: every call bounded. */
import type { Call, JournalPort, LeasePort, RecordPort } from "../failover/ports.ts";
import type { Journal } from "../journal/journal.ts";
import { type Epoch, Lease, type LeaseTools, storeFailed } from "../lease/lease.ts";
import type { Register } from "../lease/register.ts";
import { throwIfAborted } from "../platform/clock.ts";
import { startTimer } from "../platform/timer.ts";
import { decodeClusterRecord, encodeClusterRecord } from "./cluster-record.ts";

/** Where epochs are claimed. `holder` says to others who we are. */
export function leasePort(tools: LeaseTools, holder: string): LeasePort {
  return {
    durationMs: tools.store.durationMs,
    claim: async (floor: Epoch, call) => {
      const answer = await bounded(call, tools.store.name, (signal) =>
        Lease.claim(tools, { holder, floor }, { signal }),
      );
      return answer.kind === "holder" ? answer : { kind: "held", by: answer.by.holder };
    },
  };
}

/**
 * The same, and parties hear of each epoch as it is claimed, not with their first order: until then nothing is in a hurry, and
 * making it durable takes several syncs. `hear` never rejects; an order that comes before it has ended brings the epoch itself.
 */
export function announcing(lease: LeasePort, hear: (epoch: Epoch) => Promise<void>): LeasePort {
  return {
    durationMs: lease.durationMs,
    claim: async (floor, call) => {
      const answer = await lease.claim(floor, call);
      if (answer.kind === "holder") void hear(answer.lease.epoch);
      return answer;
    },
  };
}

/** The record of the stack in a register. */
export function recordPort(register: Register, name: string): RecordPort {
  return {
    read: async (call) => {
      const content = await bounded(call, name, (signal) => register.read({ signal }));
      if (content === undefined) return undefined;
      return { version: content.version, epoch: content.epoch, record: decodeClusterRecord(content.value) };
    },
    write: async ({ epoch, over, record }, call) => {
      const value = encodeClusterRecord(record);
      const answer = await bounded(call, name, (signal) => register.write({ over, epoch, value }, { signal }));
      if (answer.kind === "written") return { kind: "done", version: answer.version };
      return answer.kind === "stale" ? { kind: "stale-epoch", seen: answer.seen } : answer;
    },
  };
}

/**
 * The journal on this machine. What is meant to be done is on stable storage before it is done: a plan with all its steps at
 * once. That a step begins, and what was decided or done, goes there a moment later: what a crash takes of it is found out by
 * looking anyway.
 */
export function journalPort(journal: Journal): JournalPort {
  return {
    append: async ({ covered, ...entry }, call) => {
      if (covered === true || entry.kind === "outcome" || entry.kind === "decision") {
        // Whoever comes next fails by the same disk, and tells.
        journal.append(entry, "soon").catch(() => undefined);
        return;
      }
      await bounded(call, "the journal", () => journal.append(entry));
    },
  };
}

/** Settles within the call's time. What was asked may go on; whoever asked looks again. */
export async function bounded<T>(call: Call, name: string, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  throwIfAborted(call.signal, `asking ${name}`);
  const ending = new AbortController();
  const stop = (): void => ending.abort(call.signal?.reason);
  call.signal?.addEventListener("abort", stop, { once: true });
  let cancel = (): void => undefined;
  const late = new Promise<never>((_resolve, reject) => {
    cancel = startTimer(call.timeoutMs, () => {
      ending.abort();
      reject(storeFailed(name, `gave no answer in ${call.timeoutMs} ms`));
    });
  });
  try {
    return await Promise.race([ask(ending.signal), late]);
  } finally {
    cancel();
    call.signal?.removeEventListener("abort", stop);
  }
}
