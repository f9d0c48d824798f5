/** What `status` looks at. */
import { LifeboatError } from "../errors/error.ts";
import { formatLsn } from "../postgres/lsn.ts";
import type { ServerView, Unreachable, VaultFacts } from "../status/decide.ts";
import { listBackups } from "../vault/backups.ts";
import { openConfiguredVault } from "./compose.ts";
import { lookAtWal, pointsOf } from "./engine-wal.ts";
import type { LookAtStatus } from "./status.ts";
import type { WalStatus } from "./wal.ts";

/** Looks at vault, receiver and server, each by itself: one that fails hides no other. */
export const lookAtStatus: LookAtStatus = async (call) => {
  const wal = await lookAtWal(call);
  return {
    now: call.session.clock.now(),
    backupMaxAgeMs: call.config.status.backupMaxAge,
    vault: await lookAtVault(call),
    receiver: wal.receiver,
    server: serverOf(wal.server),
  };
};

async function lookAtVault(call: Parameters<LookAtStatus>[0]): Promise<VaultFacts> {
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
    const newest = listing.backups.at(-1);
    return {
      kind: "reached",
      newestBackup:
        newest === undefined
          ? undefined
          : {
              backupId: newest.backupId,
              endedAt: newest.endedAt,
              dataBytes: newest.dataBytes,
              storedBytes: newest.storedBytes,
            },
      backupCount: listing.backups.length,
      unfinishedCount: listing.unfinished.length,
      damagedBackups: listing.damaged.map(({ backupId }) => backupId),
      stranded: points.stranded,
      ranges: points.ranges.map((range) => ({
        systemId: range.systemId,
        timeline: range.timeline,
        from: formatLsn(range.from),
        to: formatLsn(range.to),
        fromTime: range.fromTime,
        toTime: range.toTime,
      })),
      gapCount: points.gaps.length,
      objectCount,
      sizeBytes,
    };
  } catch (error) {
    return unreachable(error);
  }
}

function serverOf(server: WalStatus["server"]): ServerView {
  if (server.kind === "unreachable") return unreachable(server.reason);
  return { ...server, lsn: formatLsn(server.lsn) };
}

function unreachable(error: unknown): Unreachable {
  const stops = !(error instanceof LifeboatError) || error.kind === "bug" || error.code === "platform.aborted";
  if (stops) throw error;
  return { kind: "unreachable", code: error.code, message: error.message };
}
