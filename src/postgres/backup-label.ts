/**
 * The two small files that the server adds to a base backup.
 *
 * Nouns: the *backup label* says where replay must begin, instead of the control file, which was copied at some later
 * moment; the *tablespace map* says where each tablespace lay.
 * Invariant: a label that is read and written again has the same bytes, and so has a map.
 * Source: src/backend/access/transam/xlogbackup.c and xlogrecovery.c (read_backup_label) of 15 to 18; PostgreSQL manual,
 * "Making a Base Backup Using the Low Level API".
 */
import { LifeboatError } from "../errors/error.ts";
import { formatLsn, type Lsn, parseLsn, type Timeline } from "./lsn.ts";

/** The contents of `backup_label`. */
export type BackupLabel = {
  /** Where replay begins: the redo position of the checkpoint. */
  readonly startLsn: Lsn;
  /** The WAL file of that position. */
  readonly startSegment: string;
  readonly checkpointLsn: Lsn;
  /** `streamed` from every server of 15 to 18. */
  readonly method: string;
  readonly from: "primary" | "standby";
  /** As the server wrote it, in its log_timezone: for people. */
  readonly startTime: string;
  readonly label: string;
  readonly timeline: Timeline;
  /** The backup that an incremental one (17 and later) builds on; such a backup cannot be started as it is. */
  readonly incrementalFrom: { readonly lsn: Lsn; readonly timeline: Timeline } | undefined;
};

/** One line of `tablespace_map`. */
export type MappedTablespace = { readonly oid: number; readonly location: string };

// A label has at most 1024 bytes of free text (MAXPGPATH), and some 300 of its own.
const LABEL_BYTES_MAX = 8192;

const LSN = "([0-9A-F]{1,8}/[0-9A-F]{1,8})";
const LABEL = new RegExp(
  [
    `^START WAL LOCATION: ${LSN} \\(file ([0-9A-F]{24})\\)`,
    `CHECKPOINT LOCATION: ${LSN}`,
    "BACKUP METHOD: ([^\n]*)",
    "BACKUP FROM: (primary|standby)",
    "START TIME: ([^\n]*)",
    // A client may put line breaks into its label.
    "LABEL: ([\\s\\S]*)",
    `START TIMELINE: (\\d{1,10})\n(?:INCREMENTAL FROM LSN: ${LSN}\nINCREMENTAL FROM TLI: (\\d{1,10})\n)?$`,
  ].join("\n"),
);

/** Reads a `backup_label`. Throws `postgres.backup-label-damaged`. */
export function parseBackupLabel(bytes: Buffer): BackupLabel {
  const match = bytes.byteLength <= LABEL_BYTES_MAX ? LABEL.exec(bytes.toString("utf8")) : null;
  if (match === null) throw damaged("backup_label", bytes.toString("utf8", 0, 100));
  const [, start = "", segment = "", checkpoint = "", method = "", from, time = "", label = "", timeline] = match;
  const [, , , , , , , , , incrementalLsn, incrementalTimeline] = match;
  return {
    startLsn: parseLsn(start),
    startSegment: segment,
    checkpointLsn: parseLsn(checkpoint),
    method,
    from: from === "standby" ? "standby" : "primary",
    startTime: time,
    label,
    timeline: Number(timeline) as Timeline,
    incrementalFrom:
      incrementalLsn === undefined
        ? undefined
        : { lsn: parseLsn(incrementalLsn), timeline: Number(incrementalTimeline) as Timeline },
  };
}

/** Writes a `backup_label` as the server does. */
export function formatBackupLabel(label: BackupLabel): string {
  const lines = [
    `START WAL LOCATION: ${formatLsn(label.startLsn)} (file ${label.startSegment})`,
    `CHECKPOINT LOCATION: ${formatLsn(label.checkpointLsn)}`,
    `BACKUP METHOD: ${label.method}`,
    `BACKUP FROM: ${label.from}`,
    `START TIME: ${label.startTime}`,
    `LABEL: ${label.label}`,
    `START TIMELINE: ${label.timeline}`,
  ];
  if (label.incrementalFrom !== undefined) {
    lines.push(`INCREMENTAL FROM LSN: ${formatLsn(label.incrementalFrom.lsn)}`);
    lines.push(`INCREMENTAL FROM TLI: ${label.incrementalFrom.timeline}`);
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** Reads a `tablespace_map`; an empty one has no tablespaces. Throws `postgres.backup-label-damaged`. */
export function parseTablespaceMap(bytes: Buffer): readonly MappedTablespace[] {
  const text = bytes.toString("utf8");
  const tablespaces: MappedTablespace[] = [];
  // A location ends at a line break without a backslash before it.
  const line = /(\d{1,10}) ((?:[^\\\n]|\\[\s\S])+)\n/y;
  while (line.lastIndex < text.length) {
    const at = line.lastIndex;
    const match = line.exec(text);
    if (match === null) throw damaged("tablespace_map", text.slice(at, at + 100));
    tablespaces.push({ oid: Number(match[1]), location: (match[2] ?? "").replace(/\\([\s\S])/g, "$1") });
  }
  return tablespaces;
}

/** Writes a `tablespace_map` as the server does. */
export function formatTablespaceMap(tablespaces: readonly MappedTablespace[]): string {
  return tablespaces.map(({ oid, location }) => `${oid} ${location.replace(/[\\\n\r]/g, "\\$&")}\n`).join("");
}

function damaged(name: string, text: string): LifeboatError {
  return new LifeboatError("postgres.backup-label-damaged", {
    message: `${name} is not as a server writes it, from here on: ${JSON.stringify(text)}`,
    remedy: "Use another backup; this one cannot be restored safely.",
  });
}
