/**
 * Is this the server whose WAL we hold? Checks made at every connection, before a byte is received.
 *
 * Invariant: WAL is received, and so confirmed, only from a system, timeline and history that the spool agrees with and
 * the vault has registered.
 */
import { LifeboatError } from "../errors/error.ts";
import { formatLsn, parseSegmentName } from "../postgres/lsn.ts";
import type { SystemIdentity } from "../postgres/replication.ts";
import { listBackups } from "../vault/backups.ts";
import type { Vault } from "../vault/vault.ts";
import { listSystems, listWal } from "../vault/wal-store.ts";
import { parseHistory, type TimelineHistory } from "./history.ts";
import type { MandateTerms } from "./mandate.ts";
import type { SpoolState } from "./spool-state.ts";

/** What a server says of itself. */
export type ServerFacts = SystemIdentity & {
  readonly walSegmentBytes: number;
  /** Its timeline's history file; empty for timeline 1. */
  readonly historyText: string;
  readonly history: TimelineHistory;
};

/**
 * Checks a server against what the mandate says of it. Throws `wal.foreign-system`, and `wal.timeline-unexpected` for one
 * that may yet be promoted.
 */
export function checkAgainstMandate(server: ServerFacts, mandate: MandateTerms): void {
  const { reign, systemId, timeline, switchLsn } = mandate;
  if (systemId !== undefined && server.systemId !== systemId) {
    throw foreignSystem(describe(server), `the mandate of reign ${reign} is for system ${systemId}`);
  }
  const began = server.history.at(-1)?.switchLsn;
  const right = timeline === undefined || server.timeline === timeline;
  if (right && (switchLsn === undefined || began === switchLsn)) return;
  const since = switchLsn === undefined ? "" : ` since ${formatLsn(switchLsn)}`;
  const found = began === undefined ? "" : ` since ${formatLsn(began)}`;
  throw new LifeboatError("wal.timeline-unexpected", {
    message: `the server is on timeline ${server.timeline}${found}, the mandate of reign ${reign} is for timeline ${timeline ?? "any"}${since}`,
    remedy: "Wait until the server is promoted; if it has been, withdraw the mandate and give one for its timeline.",
    retryable: true,
  });
}

/** Checks a server against the spool. Throws `wal.foreign-system`, `wal.timeline-behind`, `wal.foreign-lineage`. */
export function checkAgainstSpool(server: ServerFacts, state: SpoolState): void {
  const holds = `the spool holds WAL of ${describe(state)}`;
  if (server.systemId !== state.systemId) throw foreignSystem(describe(server), holds);
  if (server.walSegmentBytes !== state.walSegmentBytes) throw otherSegments(server, holds);
  if (server.timeline < state.timeline) throw timelineBehind(server, `the spool follows timeline ${state.timeline}`);
  const own = state.timeline === 1 ? [] : parseHistory(state.timeline, Buffer.from(state.history));
  const known = server.history.findIndex(({ timeline }) => timeline === state.timeline);
  // A timeline that branched off before the one we followed: a restore to an earlier point. What we hold stays apart.
  if (server.timeline > state.timeline && known < 0) return;
  const theirs = server.timeline === state.timeline ? server.history : server.history.slice(0, known);
  const same =
    own.length === theirs.length &&
    own.every((each, index) => {
      const other = theirs[index];
      return other?.timeline === each.timeline && other.switchLsn === each.switchLsn;
    });
  if (!same) {
    throw foreignLineage(`timeline ${state.timeline} of the server has another history than the one that was received`);
  }
}

/**
 * Checks a server against a vault that has not taken WAL from this spool before. Throws `wal.foreign-system` when the
 * vault knows other systems only and `newSystem` was not said, or this one with segments of another size, and
 * `wal.timeline-behind` when it knows a later timeline.
 */
export async function checkAgainstVault(
  server: ServerFacts,
  vault: Vault,
  options: { readonly newSystem: boolean; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const systems = await listSystems(vault, options);
  if (!systems.includes(server.systemId)) {
    if (systems.length === 0 || options.newSystem) return;
    throw foreignSystem(describe(server), `the vault in ${vault.store.name} holds system ${systems.join(", ")}`);
  }
  const { segments, histories } = await listWal(vault, { systemId: server.systemId }, options);
  const { backups } = await listBackups(vault, { systemId: server.systemId }, options);
  // A segment's name is a position only together with their size. Where there are backups of both, an earlier version has gone on.
  const foreign = segments.find((name) => parseSegmentName(name, server.walSegmentBytes) === undefined);
  const ofThisSize = backups.some(({ walSegmentBytes }) => walSegmentBytes === server.walSegmentBytes);
  const other = ofThisSize ? undefined : backups[0];
  if (other !== undefined || foreign !== undefined) {
    const what =
      other === undefined ? `the segment ${foreign}` : `backups with segments of ${other.walSegmentBytes} bytes`;
    throw otherSegments(server, `the vault in ${vault.store.name} holds ${what}`);
  }
  const newest = histories.at(-1);
  if (newest !== undefined && server.timeline < newest) {
    throw timelineBehind(server, `the vault knows timeline ${newest}`);
  }
}

/** The error of WAL that is not the continuation of what is held. */
export function foreignLineage(message: string): LifeboatError {
  return new LifeboatError("wal.foreign-lineage", {
    message,
    remedy:
      "Find out which copy of this cluster is the real one. To go on with this server, give it a vault and a spool of its own.",
  });
}

function foreignSystem(found: string, expected: string): LifeboatError {
  return new LifeboatError("wal.foreign-system", {
    message: `the server is ${found}, ${expected}`,
    remedy:
      "Point the receiver at the server it belongs to. A server that is new by design (after pg_upgrade) gets a spool of its own (folders.spool) and a first backup: lifeboat backup --adopt-system. Then start the receiver. Keep the old spool: the last WAL of the old server may be in no vault.",
  });
}

function otherSegments(server: ServerFacts, holds: string): LifeboatError {
  return new LifeboatError("wal.foreign-system", {
    message: `the server is ${describe(server)}, ${holds}`,
    remedy:
      "Segments of another size (pg_resetwal --wal-segsize) need a spool (folders.spool) and a vault of their own: lifeboat vault init, then lifeboat backup. Keep the old ones for moments before.",
  });
}

function timelineBehind(server: ServerFacts, known: string): LifeboatError {
  return new LifeboatError("wal.timeline-behind", {
    message: `the server is on timeline ${server.timeline}, ${known}: it was left behind by a promotion`,
    remedy:
      "Do not write to this server: rebuild it as a standby of the newest primary, or point the receiver at that one.",
  });
}

function describe(system: { readonly systemId: string; readonly walSegmentBytes: number }): string {
  return `system ${system.systemId} with segments of ${system.walSegmentBytes} bytes`;
}
