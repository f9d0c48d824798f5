/** What to do about an alarm of a receiver. By itself, since the command line asks and does not receive. */
import type { ReceiverAlarm, ReceiverReport } from "./report.ts";

/** A sentence one can act on. */
export function remedyOf({ kind }: ReceiverAlarm, { lastError }: Pick<ReceiverReport, "lastError">): string {
  // Its last error says nothing of WAL that was lost before or beside it.
  if (kind === "gap") return "Take a backup now: lifeboat backup.";
  if (kind === "unreadable")
    return "Take a backup now: lifeboat backup. Then look at the disks and the kernel logs of the server and of this machine.";
  return lastError?.remedy ?? "See `lifeboat wal status`.";
}
