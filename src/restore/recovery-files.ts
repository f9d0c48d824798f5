/**
 * The texts a restored cluster recovers by: settings, the signal file, and the command that guards the end of the WAL.
 *
 * The WAL that recovery needs is laid into pg_wal beforehand, and its names are listed. When the server asks for a
 * segment on the list that is not there, the answer is neither "found" nor "absent": recovery must stop, not take the hole
 * for the end of the log (safety rule B2). Source: PostgreSQL manual, "Recovering Using a Continuous Archive Backup".
 */
import { formatInstant, type Instant } from "../platform/clock.ts";
import { formatLsn, type Timeline } from "../postgres/lsn.ts";
import { type RecoveryTarget, shortXid } from "./target.ts";

/** The folder, inside the data directory, of everything that a restore adds. */
export const RECOVERY_FOLDER = "lifeboat-restore";

/** A file to write into the restored data directory. */
export type RecoveryFile = {
  readonly path: string;
  readonly text: string;
  readonly how: "new" | "append";
  readonly mode: number;
};

/** What the control file says a restored server must have at least, or it refuses to start. */
export type CapacitySettings = {
  readonly maxConnections: number;
  readonly maxWorkerProcesses: number;
  readonly maxWalSenders: number;
  readonly maxPreparedTransactions: number;
  readonly maxLocksPerTransaction: number;
};

/** The files of one recovery. `laid` are the names of segments and histories laid into pg_wal. */
export function recoveryFiles(recovery: {
  readonly target: RecoveryTarget;
  readonly timeline: Timeline;
  readonly laid: readonly string[];
}): readonly RecoveryFile[] {
  return [
    {
      path: `${RECOVERY_FOLDER}/planned`,
      text: recovery.laid.map((name) => `${name}\n`).join(""),
      how: "new",
      mode: 0o600,
    },
    { path: `${RECOVERY_FOLDER}/guard`, text: GUARD_SCRIPT, how: "new", mode: 0o600 },
    { path: `${RECOVERY_FOLDER}/ended`, text: ENDED_SCRIPT, how: "new", mode: 0o600 },
    { path: "postgresql.auto.conf", text: recoverySettings(recovery), how: "append", mode: 0o600 },
    { path: "recovery.signal", text: "", how: "new", mode: 0o600 },
  ];
}

/** A configuration that starts, for a cluster whose own lies outside the data directory. */
export function startableConfiguration(capacity: CapacitySettings): readonly RecoveryFile[] {
  const settings = [
    "# Written by lifeboat restore: this cluster kept its configuration outside the data directory.",
    "# What the backup captured of it lies in lifeboat-restore/outside; these settings let the server start.",
    "listen_addresses = 'localhost'",
    `max_connections = ${capacity.maxConnections}`,
    `max_worker_processes = ${capacity.maxWorkerProcesses}`,
    `max_wal_senders = ${capacity.maxWalSenders}`,
    `max_prepared_transactions = ${capacity.maxPreparedTransactions}`,
    `max_locks_per_transaction = ${capacity.maxLocksPerTransaction}`,
    "",
  ];
  const access = [
    "# Written by lifeboat restore. Add the lines your clients need.",
    "local all all peer",
    "host all all 127.0.0.1/32 scram-sha-256",
    "host all all ::1/128 scram-sha-256",
    "",
  ];
  return [
    { path: "postgresql.conf", text: settings.join("\n"), how: "new", mode: 0o600 },
    { path: "pg_hba.conf", text: access.join("\n"), how: "new", mode: 0o600 },
    { path: "pg_ident.conf", text: "", how: "new", mode: 0o600 },
  ];
}

function recoverySettings(recovery: { readonly target: RecoveryTarget; readonly timeline: Timeline }): string {
  const lines = [
    "",
    "# Added by lifeboat restore. The last setting of a name counts.",
    // A shell that finds no script ends with 2 or 127, and PostgreSQL takes 2 for "there is no such file".
    `restore_command = 'test -r ${RECOVERY_FOLDER}/guard || exit 202; exec sh ${RECOVERY_FOLDER}/guard "%f"'`,
    `recovery_end_command = 'sh ${RECOVERY_FOLDER}/ended'`,
    // The cluster's own would remove WAL that somebody else still needs.
    "archive_cleanup_command = ''",
    // A delay that was meant for a standby would hold recovery up for as long.
    "recovery_min_apply_delay = 0",
    HOT_STANDBY_OFF,
    `recovery_target_timeline = '${recovery.timeline}'`,
    // A copy must never stream from, or be waited for by, the cluster it was copied from (safety rule B12).
    "primary_conninfo = ''",
    "primary_slot_name = ''",
    "synchronous_standby_names = ''",
  ];
  const chosen = targetSettings(recovery.target);
  // PostgreSQL refuses to start with two of them, and the cluster's own configuration may have one. The chosen one comes
  // last: to set another, even to nothing, behind it counts as a second.
  for (const name of TARGET_SETTINGS) if (!chosen.has(name)) lines.push(`${name} = ''`);
  for (const [name, value] of chosen) lines.push(`${name} = '${value}'`);
  if (chosen.size > 0) {
    const inclusive = "inclusive" in recovery.target && !recovery.target.inclusive ? "off" : "on";
    lines.push(`recovery_target_inclusive = ${inclusive}`, "recovery_target_action = 'promote'");
  }
  return `${lines.join("\n")}\n`;
}

const TARGET_SETTINGS = [
  "recovery_target",
  "recovery_target_name",
  "recovery_target_time",
  "recovery_target_xid",
  "recovery_target_lsn",
] as const;

function targetSettings(target: RecoveryTarget): ReadonlyMap<(typeof TARGET_SETTINGS)[number], string> {
  switch (target.kind) {
    case "latest":
      return new Map();
    case "immediate":
      return new Map([["recovery_target", "immediate"]]);
    case "time":
      return new Map([["recovery_target_time", timestampOf(target.time)]]);
    case "lsn":
      return new Map([["recovery_target_lsn", formatLsn(target.lsn)]]);
    case "xid":
      return new Map([["recovery_target_xid", String(shortXid(target.xid))]]);
    case "name":
      return new Map([["recovery_target_name", quoted(target.name)]]);
  }
}

/** As PostgreSQL reads it between quotes in a configuration file. */
function quoted(text: string): string {
  return text.replace(/[\\'\n\r\t\f]/g, (each) => QUOTED.get(each) ?? each);
}

const QUOTED: ReadonlyMap<string, string> = new Map([
  ["\\", "\\\\"],
  ["'", "''"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\f", "\\f"],
]);

/** As PostgreSQL reads it in a configuration file, where it does not know ISO 8601's T and Z. */
function timestampOf(time: Instant): string {
  return formatInstant(time).replace("T", " ").replace("Z", "+00");
}

/**
 * With it on, recovery stops for good as soon as the WAL tells of a larger max_connections (or the like) than the backup's
 * configuration has. Taken out again when recovery has ended: a replica made of this cluster should let readers in.
 */
const HOT_STANDBY_OFF = "hot_standby = off # only while this cluster recovers";

const ENDED_SCRIPT = `# Written by lifeboat restore. The server runs it once, when recovery has ended.
sed '/^${HOT_STANDBY_OFF}$/d' postgresql.auto.conf >postgresql.auto.conf.lifeboat &&
  mv postgresql.auto.conf.lifeboat postgresql.auto.conf
`;

const GUARD_SCRIPT = `# Written by lifeboat restore. The server runs it for every WAL file it looks for.
# The files that recovery needs were laid into pg_wal: status 1 sends the server there. A file that was laid and is gone
# stops recovery with status 200, because the log does not end there; so does 201, when the list itself cannot be read.
grep -qxF -e "$1" ${RECOVERY_FOLDER}/planned
case $? in
0)
  if [ -f "pg_wal/$1" ]; then exit 1; fi
  echo "lifeboat: $1 was laid into pg_wal and is gone" >&2
  exit 200
  ;;
1) exit 1 ;;
*)
  echo "lifeboat: the list of the WAL that was laid cannot be read" >&2
  exit 201
  ;;
esac
`;
