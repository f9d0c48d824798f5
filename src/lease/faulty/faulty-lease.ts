/** A lease store that fails on purpose, for tests. */
import { type ClaimAnswer, type LeaseStore, storeFailed, type Term } from "../lease.ts";

/** What is asked of a lease store. */
export type LeaseCall = "claim" | "renew" | "end";

/**
 * What a call does instead. `unheard`: it never arrives. `unanswered`: it takes effect, and the answer is lost. `late`: it is
 * held up before it arrives, for as long as `wait` takes.
 */
export type LeaseFault =
  | { readonly kind: "unheard" | "unanswered" }
  | { readonly kind: "late"; readonly wait: () => Promise<void> };

/** Wraps a lease store; `faultOf` says what goes wrong with each call. */
export function faultyLeaseStore(inner: LeaseStore, faultOf: (call: LeaseCall) => LeaseFault | undefined): LeaseStore {
  const through = async <T>(call: LeaseCall, work: () => Promise<T>): Promise<T> => {
    const fault = faultOf(call);
    if (fault?.kind === "unheard") throw storeFailed(inner.name, `did not hear the ${call}`);
    if (fault?.kind === "late") await fault.wait();
    const answer = await work();
    if (fault?.kind === "unanswered") throw storeFailed(inner.name, `gave no answer to the ${call}`);
    return answer;
  };
  return {
    name: inner.name,
    durationMs: inner.durationMs,
    claim: async (claim, options): Promise<ClaimAnswer> => {
      const answer = await through("claim", () => inner.claim(claim, options));
      if (answer.kind === "held") return answer;
      const { term } = answer;
      const faulty: Term = {
        durationMs: term.durationMs,
        renew: (renewal) => through("renew", () => term.renew(renewal)),
        end: (ending) => through("end", () => term.end(ending)),
      };
      return { ...answer, term: faulty };
    },
  };
}
