/**
 * Which server a command about a stack means. Pure but for reading the record.
 *
 * Nouns: the *configured* address is that of the node that was the primary when the stack was described; the receiver's
 * *mandate* says whom it follows since, the controller's *record* who is the primary.
 * Invariants: where somebody has decided who is the primary, the configured address means nothing, unless a person chose it
 * for this call; while that is being decided nobody is meant; whoever is meant has come at least to the timeline of the
 * mandate, so that an old primary is never taken for a replica.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import type { SystemIdentity } from "../postgres/replication.ts";
import type { MandateRecord, MandateTerms, Upstream } from "../wal/mandate.ts";
import { type RecordedRoles, readRoles } from "./roles.ts";

/** What is known. */
export type ProtectedFacts = {
  readonly configured: Upstream;
  /** A person gave this address for this call, by a flag or a variable. */
  readonly chosen: boolean;
  readonly mandate: MandateRecord;
  /** Undefined: there is none, or it is not ours to read. */
  readonly record: RecordedRoles | undefined;
};

/** Whom a command means. */
export type ProtectedServer =
  | {
      readonly kind: "server";
      readonly at: Upstream;
      /** What must hold of it; undefined where nobody ever decided. */
      readonly terms: MandateTerms | undefined;
    }
  | { readonly kind: "unsettled"; readonly why: string };

/** Decides. */
export function protectedServer({ configured, chosen, mandate, record }: ProtectedFacts): ProtectedServer {
  if (mandate.kind === "withdrawn") {
    return { kind: "unsettled", why: `an action of epoch ${mandate.epoch} has told the receiver to follow nobody` };
  }
  if (mandate.upstream === undefined) return { kind: "server", at: configured, terms: undefined };
  if (chosen) return { kind: "server", at: configured, terms: mandate };
  if (record !== undefined) {
    const { action, primary } = record;
    if (action) return { kind: "unsettled", why: "the record says that a failover or switchover has not ended" };
    // A stack's own configuration has the port of `db`.
    const followed = mandate.upstream.port === configured.port ? "db" : "db_replica";
    if (primary !== followed) {
      return {
        kind: "unsettled",
        why: `the record says that ${primary} is the primary, and the receiver follows ${followed}`,
      };
    }
  }
  return { kind: "server", at: mandate.upstream, terms: mandate };
}

/** The record in a controller's folder; undefined where there is none, or only who started the stack may read it. */
export async function readableRoles(files: Files, controllerFolder: string): Promise<RecordedRoles | undefined> {
  try {
    return await readRoles(files, controllerFolder);
  } catch (error) {
    const cause = isLifeboatError(error) ? error.cause : error;
    if (isLifeboatError(cause, "platform.file-denied")) return undefined;
    throw error;
  }
}

/** The error of a command that must not guess. */
export function primaryUnsettled(why: string): LifeboatError {
  return new LifeboatError("stack.primary-unsettled", {
    message: `who the primary is, is not settled: ${why}`,
    remedy: "Look at it: lifeboat failover --check-only. Then run the same command again.",
    retryable: true,
  });
}

/**
 * Checks the server that answered. A replica may do instead of the primary, an old primary may not. Throws
 * `wal.foreign-system` and `wal.timeline-behind`.
 */
export function checkProtected(
  found: Pick<SystemIdentity, "systemId" | "timeline">,
  terms: MandateTerms | undefined,
): void {
  const { systemId = found.systemId, timeline = found.timeline, reign } = terms ?? {};
  if (found.systemId !== systemId) {
    throw new LifeboatError("wal.foreign-system", {
      message: `the server is of system ${found.systemId}, the mandate of reign ${reign} is for system ${systemId}`,
      remedy: "Check the address: this is not a node of the stack.",
    });
  }
  if (found.timeline >= timeline) return;
  throw new LifeboatError("wal.timeline-behind", {
    message: `the server is on timeline ${found.timeline}, the primary of reign ${reign} on ${timeline}: it was left behind by a promotion`,
    remedy:
      "Do not use this server: see lifeboat failover --check-only for who is the primary, and lifeboat rebuild for this one.",
  });
}
