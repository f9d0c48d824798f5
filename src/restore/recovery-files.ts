/**
 * The texts a restored cluster recovers by: settings, the signal file, and the command that hands out its WAL.
 *
 * WAL is either laid into pg_wal beforehand or fed: handed over through a spool while the server recovers. Both are listed
 * by name. When the server asks for a file on a list and it cannot be had, the answer is neither "found" nor "absent":
 * recovery must stop, not take the hole for the end of the log (safety rule B2). What lies in pg_wal under the name of a
 * segment that is fed is never used: the server keeps old segments there under names to come.
 * Source: PostgreSQL manual, "Recovering Using a Continuous Archive Backup".
 */
import { type ControlFile, capacitySettings } from "../postgres/control-file.ts";
import { formatLsn, type Lsn, type Timeline } from "../postgres/lsn.ts";
import { type ServerTarget, shortXid } from "./target.ts";

/** The folder, inside the data directory, of everything that a restore adds. */
export const RECOVERY_FOLDER = "lifeboat-restore";

/** The list of the segments that are fed, one name a line. */
export const FED_LIST = `${RECOVERY_FOLDER}/fed`;

/** The OIDs of the tablespaces that lie elsewhere than the backup's server had them, one a line. */
export const MOVED_LIST = `${RECOVERY_FOLDER}/moved`;

/** From where to where recovery replays: two positions, one a line. */
export const REPLAYED_FILE = `${RECOVERY_FOLDER}/replayed`;

/**
 * The spool of fed segments. The server's side writes `want`, the name of the segment it waits for, and takes that segment
 * away when it is there; the feeder's side puts segments, `<segment>.failed` with a reason, and `feeder`, whose content
 * changes as long as somebody feeds.
 */
export const FEED_SPOOL = `${RECOVERY_FOLDER}/spool`;

/** A file to write into the restored data directory. */
export type RecoveryFile = {
  readonly path: string;
  readonly text: string;
  readonly how: "new" | "append";
  readonly mode: number;
};

/** The files of one recovery. `laid` are the names of segments and histories laid into pg_wal, `fed` of those to come; `moved` OIDs. */
export function recoveryFiles(recovery: {
  readonly target: ServerTarget;
  readonly timeline: Timeline;
  readonly laid: readonly string[];
  readonly fed: readonly string[];
  readonly moved: readonly number[];
  readonly replayed: { readonly from: Lsn; readonly to: Lsn };
}): readonly RecoveryFile[] {
  const { from, to } = recovery.replayed;
  return [
    { path: `${RECOVERY_FOLDER}/planned`, text: listOf(recovery.laid), how: "new", mode: 0o600 },
    // Also when it is empty: a list that is not there says nothing.
    { path: FED_LIST, text: listOf(recovery.fed), how: "new", mode: 0o600 },
    { path: MOVED_LIST, text: listOf(recovery.moved.map(String)), how: "new", mode: 0o600 },
    { path: REPLAYED_FILE, text: listOf([formatLsn(from), formatLsn(to)]), how: "new", mode: 0o600 },
    { path: `${RECOVERY_FOLDER}/guard`, text: GUARD_SCRIPT, how: "new", mode: 0o600 },
    { path: `${RECOVERY_FOLDER}/ended`, text: ENDED_SCRIPT, how: "new", mode: 0o600 },
    { path: "postgresql.auto.conf", text: recoverySettings(recovery), how: "append", mode: 0o600 },
    { path: "recovery.signal", text: "", how: "new", mode: 0o600 },
  ];
}

/** Whom a restored cluster follows as a standby. */
export type Upstream = {
  /** primary_conninfo. Every superuser can read it: name a password file in it rather than a password. */
  readonly conninfo: string;
  /** Physical slot on the upstream; undefined: what is needed must be there by other means. */
  readonly slot: string | undefined;
  /**
   * What commits of the standby wait for should it be promoted before it is told others: a server that starts without names, and
   * learns of some later, goes on for a while acknowledging without (src/postgres/commit-wait.ts). Undefined: nothing.
   */
  readonly names?: string | undefined;
};

/**
 * The files of a cluster that stays in recovery and goes on with the WAL of another. The WAL that was laid it finds in
 * pg_wal; where that ends, or lacks something, it asks its upstream, which has it or says that it has not.
 * Source: PostgreSQL manual, "Setting Up a Standby Server".
 */
export function standbyFiles(upstream: Upstream): readonly RecoveryFile[] {
  const settings = [
    // Set to nothing: recovery begins as a standby's only when no target is set.
    ...TARGET_SETTINGS.map((name) => `${name} = ''`),
    "recovery_target_timeline = 'latest'",
    "restore_command = ''",
    "recovery_end_command = ''",
    "archive_cleanup_command = ''",
    "recovery_min_apply_delay = 0",
    "hot_standby = on",
    `primary_conninfo = '${quoted(upstream.conninfo)}'`,
    `primary_slot_name = '${quoted(upstream.slot ?? "")}'`,
    // The upstream's confirmers are not this one's (safety rule B12).
    `synchronous_standby_names = '${quoted(upstream.names ?? "")}'`,
  ];
  const text = ["", "# Added by lifeboat restore. The last setting of a name counts.", ...settings, ""].join("\n");
  return [
    { path: "postgresql.auto.conf", text, how: "append", mode: 0o600 },
    { path: "standby.signal", text: "", how: "new", mode: 0o600 },
  ];
}

/**
 * What lets somebody look at the old data of a node without anybody else meeting it: started as it was, it would stream and confirm as the
 * node (safety rule B12), archive for it, and answer at its address. A standby stays one, which nobody feeds. The data is left as it was.
 */
export function oldDataFiles(): readonly RecoveryFile[] {
  const text = [
    "",
    "# Added by lifeboat rebuild --old-data-into; what the node had is above. The last setting of a name counts.",
    "primary_conninfo = ''",
    "primary_slot_name = ''",
    "restore_command = ''",
    "synchronous_standby_names = ''",
    "hot_standby = on",
    "archive_mode = off",
    "max_logical_replication_workers = 0",
    "listen_addresses = ''",
    "# The data directory itself, however long its path.",
    "unix_socket_directories = '.'",
    "port = 5432",
    "",
  ].join("\n");
  return [{ path: "postgresql.auto.conf", text, how: "append", mode: 0o600 }];
}

function listOf(names: readonly string[]): string {
  return names.map((name) => `${name}\n`).join("");
}

const ACCESS_RULES = [
  "# Written by lifeboat restore. Add the lines your clients need.",
  "local all all peer",
  "host all all 127.0.0.1/32 scram-sha-256",
  "host all all ::1/128 scram-sha-256",
  "",
].join("\n");

/** A configuration that starts, for a cluster whose own lies outside the data directory: with less than `capacity` it would refuse to. */
export function startableConfiguration(capacity: ControlFile["capacity"]): readonly RecoveryFile[] {
  const settings = [
    "# Written by lifeboat restore: this cluster kept its configuration outside the data directory.",
    "# What the backup captured of it lies in lifeboat-restore/outside; these settings let the server start.",
    "listen_addresses = 'localhost'",
    ...Object.entries(capacitySettings(capacity)).map(([name, value]) => `${name} = ${value}`),
    "",
  ];
  return [
    { path: "postgresql.conf", text: settings.join("\n"), how: "new", mode: 0o600 },
    { path: "pg_hba.conf", text: ACCESS_RULES, how: "new", mode: 0o600 },
    { path: "pg_ident.conf", text: "", how: "new", mode: 0o600 },
  ];
}

/**
 * What a folder's own file of access rules says where another is named that is not on this machine: what the backup captured of the one
 * that was in use, else next to nothing. The folder's own, which nobody used, is initdb's as a rule and lets everybody of the machine in.
 * Captured rules that need other files are not used: without one of a list of names (`@file`) no server starts.
 */
export function ownAccessRules(setting: string, captured: string | undefined): string {
  if (captured !== undefined && !captured.split("\n").some(needsOtherFile)) return captured;
  return setting === "hba_file" ? ACCESS_RULES : "";
}

/** Whether a line of access rules includes a file, or names one with the names of users or databases. */
function needsOtherFile(line: string): boolean {
  const unquotedWords = line.replace(/(?<!@)"[^"]*"/g, '""').replace(/#.*/, "");
  return /^[ \t]*include(?:_dir|_if_exists)?[ \t]|(?:^|[\s,])@/.test(unquotedWords);
}

function recoverySettings(recovery: { readonly target: ServerTarget; readonly timeline: Timeline }): string {
  const passing = [
    // A shell that finds no script ends with 2 or 127, and PostgreSQL takes 2 for "there is no such file".
    `restore_command = 'test -r ${RECOVERY_FOLDER}/guard || exit 202; exec sh ${RECOVERY_FOLDER}/guard "%f" "%p"'`,
    `recovery_end_command = 'sh ${RECOVERY_FOLDER}/ended'`,
    // The cluster's own would remove WAL that somebody else still needs.
    "archive_cleanup_command = ''",
    // A delay that was meant for a standby would hold recovery up for as long.
    "recovery_min_apply_delay = 0",
    // With it on, recovery stops for good as soon as the WAL tells of a larger max_connections (or the like) than the
    // backup's configuration has.
    "hot_standby = off",
    `recovery_target_timeline = '${recovery.timeline}'`,
  ];
  const chosen = targetSettings(recovery.target);
  // PostgreSQL refuses to start with two of them, and the cluster's own configuration may have one. The chosen one comes
  // last: to set another, even to nothing, behind it counts as a second.
  for (const name of TARGET_SETTINGS) if (!chosen.has(name)) passing.push(`${name} = ''`);
  for (const [name, value] of chosen) passing.push(`${name} = '${value}'`);
  if (chosen.size > 0) {
    const inclusive = "inclusive" in recovery.target && !recovery.target.inclusive ? "off" : "on";
    passing.push(`recovery_target_inclusive = ${inclusive}`, "recovery_target_action = 'promote'");
  }
  const lines = [
    "",
    "# Added by lifeboat restore. The last setting of a name counts.",
    ...passing.map((line) => `${line}${PASSING}`),
    // A copy must never stream from, or be waited for by, the cluster it was copied from (safety rule B12).
    "primary_conninfo = ''",
    "primary_slot_name = ''",
    "synchronous_standby_names = ''",
  ];
  return `${lines.join("\n")}\n`;
}

/**
 * Ends a line that is taken out again when recovery has ended: a later start must not depend on where this one got its WAL
 * from, and a replica made of this cluster should let readers in.
 */
const PASSING = " # only while this cluster recovers";

const TARGET_SETTINGS = [
  "recovery_target",
  "recovery_target_name",
  "recovery_target_time",
  "recovery_target_xid",
  "recovery_target_lsn",
] as const;

function targetSettings(target: ServerTarget): ReadonlyMap<(typeof TARGET_SETTINGS)[number], string> {
  switch (target.kind) {
    case "latest":
      return new Map();
    case "immediate":
      return new Map([["recovery_target", "immediate"]]);
    case "lsn":
      return new Map([["recovery_target_lsn", formatLsn(target.lsn)]]);
    case "xid":
      return new Map([["recovery_target_xid", String(shortXid(target.xid))]]);
    case "name":
      return new Map([["recovery_target_name", quoted(target.name)]]);
  }
}

/** As PostgreSQL reads it between quotes in a configuration file. */
export function quoted(text: string): string {
  return text.replace(/[\\'\n\r\t\f]/g, (each) => QUOTED.get(each) ?? each);
}

/** What stands between quotes in a configuration file, as PostgreSQL reads it; letters behind a backslash stay as they are. */
export function unquoted(text: string): string {
  return text.replaceAll("''", "'").replace(/\\(.)/g, "$1");
}

const QUOTED: ReadonlyMap<string, string> = new Map([
  ["\\", "\\\\"],
  ["'", "''"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\f", "\\f"],
]);

const ENDED_SCRIPT = `# Written by lifeboat restore. The server runs it once, when recovery has ended.
sed '/${PASSING}$/d' postgresql.auto.conf >postgresql.auto.conf.lifeboat &&
  mv postgresql.auto.conf.lifeboat postgresql.auto.conf
`;

/**
 * How often the server's side looks for a segment that is not there yet, and how many times in a row it may find that the
 * feeder has not stirred: about a minute, since a feeder on a busy machine may well be silent for some seconds.
 */
const LOOK_SECONDS = "0.05";
const LOOKS_A_SECOND = 20;
const SILENT_LOOKS_MAX = 60 * LOOKS_A_SECOND;

const GUARD_SCRIPT = `# Written by lifeboat restore. The server runs it for every WAL file it looks for.
# Status 0 hands the file over. 1 says that it is not to be had, or sends the server to pg_wal, where it was laid. Anything
# from 200 on stops recovery: the file is to be had and could not be, so the log does not end here.
name=$1 target=$2
list() { grep -qxF -e "$name" "${RECOVERY_FOLDER}/$1"; }
fail() {
  echo "lifeboat: $name: $2" >&2
  exit "$1"
}

list planned
case $? in
0)
  if [ -f "pg_wal/$name" ]; then exit 1; fi
  fail 200 "it was laid into pg_wal and is gone"
  ;;
1) ;;
*) fail 201 "the list of the WAL that was laid cannot be read" ;;
esac
list fed
case $? in
0) ;;
1) exit 1 ;;
*) fail 201 "the list of the WAL that is fed cannot be read" ;;
esac

spool=${FEED_SPOOL}
silent_looks_max=${SILENT_LOOKS_MAX}
rm -f "$spool/want"
beat= silent=0
while :; do
  # Asked again when it is not there any more: a feeder that begins forgets what a server asked for that was killed.
  if [ ! -f "$spool/want" ]; then
    { echo "$name" >"$spool/want.new" && mv -f "$spool/want.new" "$spool/want"; } || fail 203 "it cannot be asked for"
  fi
  # A server that was killed leaves this script behind, which must not hand anything to the next one.
  kill -0 "$PPID" 2>/dev/null || fail 204 "the server that asked for it is gone"
  if [ -f "$spool/$name" ]; then
    if mv -f "$spool/$name" "$target"; then
      rm -f "$spool/want"
      exit 0
    fi
    # A feeder that begins anew clears the spool, and puts it there again.
    if [ -f "$spool/$name" ]; then fail 205 "it cannot be moved to $target"; fi
  fi
  if [ -f "$spool/$name.failed" ]; then fail 206 "$(cat "$spool/$name.failed")"; fi
  seen=$(cat "$spool/feeder" 2>/dev/null)
  if [ "$seen" != "$beat" ]; then beat=$seen silent=0; fi
  [ "$silent" -lt "$silent_looks_max" ] ||
    fail 207 "nobody feeds this recovery: run lifeboat wal feed --target $(pwd), then start the server again"
  if sleep ${LOOK_SECONDS} 2>/dev/null; then
    silent=$((silent + 1))
  else
    sleep 1
    silent=$((silent + ${LOOKS_A_SECOND}))
  fi
done
`;
