/**
 * Why a restore is refused, in words.
 */
import { LifeboatError } from "../errors/error.ts";
import { formatLsn, historyName, type Timeline } from "../postgres/lsn.ts";
import type { BackupListing } from "../vault/backups.ts";
import type { Vault } from "../vault/vault.ts";
import type { WalSpan } from "../wal/ranges.ts";
import { describeGap, type RestoreRefusal } from "./plan.ts";
import { describeTarget, type RecoveryTarget } from "./target.ts";

/** WAL whose timeline nobody knows to have grown where, in words. */
export function describeUntold({ timeline, from, to }: WalSpan): string {
  return `WAL of timeline ${timeline} is held, ${formatLsn(from)} to ${formatLsn(to)}, and the history of that timeline is lost`;
}

/** The refusal as an error: `restore.no-backup`, `restore.wal-gap` or `restore.history-lost`. */
export function refusalError(
  refusal: RestoreRefusal,
  of: {
    readonly listing: BackupListing;
    readonly vault: Vault;
    readonly request: { readonly target: RecoveryTarget; readonly timeline?: Timeline | undefined };
  },
): LifeboatError {
  if (refusal.kind === "history-lost") {
    const { timeline, reach, untold } = refusal;
    const isOwn = untold.timeline === timeline;
    const what = isOwn
      ? "no server recovers along it"
      : `what was committed there would be left out, and timeline ${timeline} ends at ${formatLsn(reach)}`;
    const knowingly = isOwn ? "name a --backup of an older timeline" : `pass --timeline ${timeline}`;
    return new LifeboatError("restore.history-lost", {
      message: `${describeUntold(untold)}: ${what}`,
      remedy: `Run \`lifeboat vault repair\` where the receiver's spool lies, or with --history and ${historyName(untold.timeline)} from pg_wal of a server: it stores the history again. To restore what lies before it, knowingly, ${knowingly}.`,
      details: { timeline: untold.timeline },
    });
  }
  if (refusal.kind === "gap-before-latest") {
    return new LifeboatError("restore.wal-gap", {
      message: `WAL is missing after ${formatLsn(refusal.reach)}: ${describeGap(refusal.gap)}, and goes on after that`,
      remedy: "Pass --accept-gap to restore to the last position before the hole, or choose a backup taken after it.",
      details: { reach: formatLsn(refusal.reach) },
    });
  }
  if (refusal.kind === "backup-wal-missing") {
    return new LifeboatError("restore.wal-gap", {
      message: `backup ${refusal.backup.backupId} lacks WAL that makes it consistent: ${refusal.gaps.map(describeGap).join("; ")}`,
      remedy: "Choose another backup with --backup; `lifeboat points` shows what each reaches.",
    });
  }
  const { listing, vault, request } = of;
  const { backups, damaged } = listing;
  const oldest = backups[0];
  const why = {
    "none-held": `the vault in ${vault.store.name} has no backup of this system`,
    "unknown-name": `the vault in ${vault.store.name} has no backup of that name, it has ${backups.length}`,
    "none-old-enough": `every backup in the vault ended after ${describeTarget(request.target)}; the oldest ended at ${oldest?.endedAt ?? "no time"}, ${oldest?.endLsn ?? "nowhere"}`,
    "none-on-timeline": `no backup in the vault lies on timeline ${request.timeline ?? 0} or on an ancestor of it`,
  }[refusal.why];
  const unread = damaged.map((each) => each.backupId).join(", ");
  return new LifeboatError("restore.no-backup", {
    message: damaged.length === 0 ? why : `${why}; beside it, the records of these cannot be read: ${unread}`,
    remedy: "See `lifeboat backups` and `lifeboat points`.",
  });
}
