/** What `status` looks at. */
import { LifeboatError } from "../errors/error.ts";
import type { Instant } from "../platform/clock.ts";
import { formatLsn, type SystemId } from "../postgres/lsn.ts";
import { type OutsideTablespace, tablespacesBeyond } from "../postgres/tablespaces.ts";
import { isAtLeast, standings } from "../proof/decide.ts";
import type {
  DatedAhead,
  RisksView,
  ServerView,
  StatusBackup,
  StatusProof,
  Unreachable,
  VaultFacts,
} from "../status/decide.ts";
import { observeRisks } from "../status/observe-risks.ts";
import { type BackupListing, type BackupRecord, listBackups } from "../vault/backups.ts";
import { aheadMs, newestOf } from "../vault/dated-ahead.ts";
import { opensNewestKey } from "../vault/key-open.ts";
import { readManifestHeader } from "../vault/manifest.ts";
import type { BackupId } from "../vault/names.ts";
import { listProofs, type ProofListing } from "../vault/proofs.ts";
import type { Vault } from "../vault/vault.ts";
import { openConfiguredVault } from "./compose.ts";
import { meantServer } from "./engine-server.ts";
import { isFailoverPaused, isOfStack } from "./engine-stack.ts";
import { pointsOf, walOf } from "./engine-wal.ts";
import { ofMeantStack } from "./meant-stack.ts";
import type { LookAtStatus } from "./status.ts";
import type { WalStatus } from "./wal.ts";

/** Looks at vault, receiver and server, each by itself: one that fails hides no other. */
export const lookAtStatus: LookAtStatus = async (asked) => {
  const call = await ofMeantStack(asked);
  // Beside one another: the second connection costs no time of its own.
  const [wal, risks] = await Promise.all([walOf(call), lookAtRisks(call)]);
  const now = call.session.clock.now();
  return {
    now,
    backupMaxAgeMs: call.config.status.backupMaxAge,
    proofMaxAgeMs: call.config.status.proofMaxAge,
    vault: await lookAtVault(call, { now, systemId: systemOf(wal), risks }),
    receiver: wal.receiver,
    reportAgeMs: wal.reportAgeMs,
    isOfStack: await isOfStack(call.config),
    failoverPaused: await isFailoverPaused(call.config),
    receiverSlot: call.config.receiver.slot,
    server: serverOf(wal.server),
    risks,
  };
};

async function lookAtRisks(call: Parameters<LookAtStatus>[0]): Promise<RisksView> {
  try {
    const { address } = await meantServer(call, "lifeboat_status");
    return await observeRisks(address, { signal: call.session.signal });
  } catch (error) {
    return unreachable(error);
  }
}

/** Which cluster is protected: backups of another, as of before pg_upgrade, say nothing of it. Undefined where nobody can tell. */
function systemOf({ server, receiver }: WalStatus): SystemId | undefined {
  if (server.kind === "reached") return server.systemId;
  const told = receiver.kind === "never-ran" ? null : receiver.report.systemId;
  return told === null ? undefined : (told as SystemId);
}

async function lookAtVault(
  call: Parameters<LookAtStatus>[0],
  {
    now,
    systemId,
    risks,
  }: { readonly now: Instant; readonly systemId: SystemId | undefined; readonly risks: RisksView },
): Promise<VaultFacts> {
  const options = { signal: call.session.signal };
  try {
    const vault = await openConfiguredVault(call, "read");
    const listing = await listBackups(vault, {}, options);
    const points = await pointsOf(vault, call);
    let objectCount = 0;
    let sizeBytes = 0;
    for await (const object of vault.store.list("", options)) {
      objectCount += 1;
      sizeBytes += object.sizeBytes;
    }
    const dated = datedFacts(listing, await listProofs(vault, {}, options), { now, systemId });
    const outside = risks.kind === "reached" ? risks.outsideTablespaces : [];
    const newest = listing.backups.find(({ backupId }) => backupId === dated.newestBackup?.backupId);
    const compared = await compareTablespaces(vault, { outside, newest }, options);
    return {
      kind: "reached",
      ...dated,
      newerTablespaces: compared.newer,
      tablespacesUnseen: compared.unseen,
      backupCount: listing.backups.length,
      unfinishedCount: listing.unfinished.length,
      damagedBackups: [...listing.damaged.map(({ backupId }) => backupId), ...compared.damaged],
      ...reachFacts(points, listing, systemId),
      opensNewestKey: await opensNewestKey(vault, options),
      objectCount,
      sizeBytes,
    };
  } catch (error) {
    return unreachable(error);
  }
}

/** Which tablespaces a backup has not, or why that cannot be seen. Only a server that has any costs a look into a manifest. */
export async function compareTablespaces(
  vault: Vault,
  { outside, newest }: { readonly outside: readonly OutsideTablespace[]; readonly newest: BackupRecord | undefined },
  options: { readonly signal?: AbortSignal | undefined },
): Promise<{
  readonly newer: readonly OutsideTablespace[];
  readonly damaged: readonly BackupId[];
  readonly unseen: Unreachable | undefined;
}> {
  const nothing = { newer: [], damaged: [], unseen: undefined };
  if (outside.length === 0 || newest === undefined) return nothing;
  try {
    return { ...nothing, newer: tablespacesBeyond(outside, await readManifestHeader(vault, newest, options)) };
  } catch (error) {
    const unseen = unreachable(error);
    const isDamaged = unseen.code === "vault.object-missing" || unseen.code === "vault.object-damaged";
    // All else, as a bad sector or another data key, leaves only this question open.
    return isDamaged ? { ...nothing, damaged: [newest.backupId] } : { ...nothing, unseen };
  }
}

/** What can be restored of a system, of all where it is not known: a gap of another is nothing that a backup of this one mends. */
export function reachFacts(
  points: Awaited<ReturnType<typeof pointsOf>>,
  { backups }: Pick<BackupListing, "backups">,
  systemId: SystemId | undefined,
): Pick<Extract<VaultFacts, { kind: "reached" }>, "stranded" | "ranges" | "gapCount" | "outOfReach" | "unreached"> {
  const isMeant = (of: { readonly systemId: SystemId } | undefined): boolean =>
    systemId === undefined || of?.systemId === systemId;
  return {
    stranded: points.stranded.filter((id) => isMeant(backups.find(({ backupId }) => backupId === id))),
    ranges: points.ranges.filter(isMeant).map((range) => ({
      systemId: range.systemId,
      timeline: range.timeline,
      from: formatLsn(range.from),
      to: formatLsn(range.to),
      fromTime: range.fromTime,
      toTime: range.toTime,
    })),
    gapCount: points.gaps.filter(isMeant).length,
    outOfReach: points.outOfReach.filter(isMeant).map(({ timeline, from, to }) => ({
      timeline,
      from: formatLsn(from),
      to: formatLsn(to),
    })),
    unreached: points.unreached.filter(isMeant).map(({ systemId, timeline, to }) => ({
      timeline,
      to: formatLsn(to),
      historyHeld: points.untold.every((each) => each.systemId !== systemId || each.timeline !== timeline),
    })),
  };
}

/** What is newest of a system, of all where it is not known, and what no age can be told of. */
export function datedFacts(
  listing: Pick<BackupListing, "backups">,
  proofs: ProofListing,
  { now, systemId }: { readonly now: Instant; readonly systemId: SystemId | undefined },
): Pick<Extract<VaultFacts, { kind: "reached" }>, "newestBackup" | "newestProof" | "failedProofs" | "datedAhead"> {
  const backups = listing.backups.filter((backup) => systemId === undefined || backup.systemId === systemId);
  const found = standings(proofs);
  const failedProofs: string[] = [];
  const proven: StatusProof[] = [];
  for (const { backupId } of backups) {
    const standing = found.get(backupId);
    if (standing?.kind === "failed" || standing?.kind === "unreadable") failedProofs.push(backupId);
    if (standing?.kind !== "proven" || !isAtLeast(standing.depth, "booted")) continue;
    proven.push({ backupId, depth: standing.depth, endedAt: standing.proof.endedAt });
  }
  proven.sort((a, b) => (a.endedAt < b.endedAt ? -1 : 1));
  const newest = newestOf(backups, now);
  return {
    newestBackup: newest === undefined ? undefined : shownOf(newest),
    newestProof: newestOf(proven, now),
    failedProofs,
    datedAhead: [...aheadOf("backup", backups, now), ...aheadOf("proof", proven, now)],
  };
}

function shownOf({ backupId, endedAt, dataBytes, storedBytes }: StatusBackup): StatusBackup {
  return { backupId, endedAt, dataBytes, storedBytes };
}

function aheadOf(
  what: DatedAhead["what"],
  dated: readonly { readonly backupId: string; readonly endedAt: string }[],
  now: Instant,
): readonly DatedAhead[] {
  const ahead = dated.filter(({ endedAt }) => aheadMs(endedAt, now) !== undefined);
  return ahead.map(({ backupId, endedAt }) => ({ what, backupId, endedAt }));
}

function serverOf(server: WalStatus["server"]): ServerView {
  if (server.kind === "unreachable") return unreachable(server.reason);
  const { kind, lsn, lagBytes, slot } = server;
  return { kind, lsn: formatLsn(lsn), lagBytes, slot };
}

function unreachable(error: unknown): Unreachable {
  const stops = !(error instanceof LifeboatError) || error.kind === "bug" || error.code === "platform.aborted";
  if (stops) throw error;
  return { kind: "unreachable", code: error.code, message: error.message };
}
