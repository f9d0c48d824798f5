/**
 * Receives a base backup.
 *
 * The answer, in order: start position; tablespaces; one COPY with archives and the manifest; end position;
 * CommandComplete; ReadyForQuery. The server checks page checksums as it sends and raises what it found after the end
 * position: only the last message means that the backup is good.
 * Source: PostgreSQL manual, "Streaming Replication Protocol", BASE_BACKUP.
 */
import type { BackupTablespace, BaseBackupEnd, BaseBackupOptions, BaseBackupSink } from "./replication.ts";
import { lsnAt, numberAt, readCString, type ServerReport, type TextRow, textAt, timelineAt } from "./wire/answers.ts";
import { type Message, TYPE, unexpected, type WireConnection } from "./wire/connection.ts";
import { quoteLiteral } from "./wire/outgoing.ts";
import { protocolError } from "./wire/protocol-error.ts";

/** A manifest has about 150 bytes a file: this is enough for seven million files, and fits in memory. */
const MANIFEST_BYTES_MAX = 1024 * 1024 * 1024;
/** The server names at most five bad blocks a file; twenty reports tell where to look. */
const REPORTS_MAX = 20;

/** What walks through the server's folders: it warns of what is neither a file nor a folder ("skipping special file"). */
const SKIPPING_ROUTINE = "sendDir";

/** What SQLSTATEs mean in a base backup. */
export const BASE_BACKUP_CODES = { XX001: "backup.checksum-failed" } as const;

/** The command of a base backup. */
export function baseBackupCommand(request: BaseBackupOptions): string {
  const options = [
    `LABEL ${quoteLiteral(request.label)}`,
    "PROGRESS true",
    `CHECKPOINT ${quoteLiteral(request.checkpoint)}`,
    "WAL false",
    `WAIT ${request.waitForArchive}`,
    ...(request.maxRateKiB === undefined ? [] : [`MAX_RATE ${request.maxRateKiB}`]),
    "TABLESPACE_MAP true",
    "VERIFY_CHECKSUMS true",
    "MANIFEST 'yes'",
    `MANIFEST_CHECKSUMS ${quoteLiteral(request.manifestChecksums)}`,
  ];
  return `BASE_BACKUP (${options.join(", ")})`;
}

/** Reads the answer of a base backup that was just asked for. Call within a command of the connection. */
export async function receiveBaseBackup(wire: WireConnection, sink: BaseBackupSink): Promise<BaseBackupEnd> {
  const reports: ServerReport[] = [];
  const skipped: string[] = [];
  wire.onNotice = (report) => {
    if (report.severity !== "WARNING") return;
    if (report.routine === SKIPPING_ROUTINE) skipped.push(report.message);
    if (reports.length < REPORTS_MAX) reports.push(report);
  };
  const [start] = await wire.resultSet("the start position of the backup");
  const spaces = await wire.resultSet("the tablespaces of the backup");
  const totalKiB = spaces.reduce((sum, row) => sum + sizeKiB(row), 0);
  await wire.expect(TYPE.copyOut, "the start of the backup's archives");
  await sink.begin({
    startLsn: lsnAt(start, 0),
    timeline: timelineAt(start, 1),
    tablespaces: spaces.filter((row) => row[0] !== null).map(readTablespace),
    totalBytes: totalKiB * 1024,
  });
  await receiveArchives(wire, sink);
  const [end] = await wire.resultSet("the end position of the backup");
  const result = { endLsn: lsnAt(end, 0), timeline: timelineAt(end, 1), skipped };
  await receiveEnd(wire, reports);
  return result;
}

async function receiveArchives(wire: WireConnection, sink: BaseBackupSink): Promise<void> {
  const manifest: Buffer[] = [];
  let manifestBytes = 0;
  let target: "none" | "archive" | "manifest" = "none";
  wire.splitPayload = true;
  try {
    for (;;) {
      const frame = wire.next();
      if (frame === undefined) {
        await wire.wait();
      } else if (frame.kind === "payload") {
        if (target === "archive") {
          // No promise for the many pieces that a sink takes at once: awaiting each would halve the throughput.
          const pending = sink.data(frame.view);
          if (pending !== undefined) await pending;
        } else if (target === "manifest") {
          manifestBytes += frame.view.byteLength;
          if (manifestBytes > MANIFEST_BYTES_MAX) throw protocolError("the backup's manifest is larger than 1 GiB");
          manifest.push(Buffer.from(frame.view));
        } else {
          throw protocolError("the server sent bytes of a backup before it named the archive");
        }
      } else if (frame.type === TYPE.error) {
        await wire.raise(frame.body);
      } else if (frame.type === TYPE.copyDone) {
        break;
      } else {
        target = await receiveMarker(frame, sink, target);
      }
    }
  } finally {
    wire.splitPayload = false;
  }
  if (target !== "manifest") throw protocolError("the backup ended without its manifest");
  await sink.manifest(Buffer.concat(manifest));
}

async function receiveMarker(
  message: Message,
  sink: BaseBackupSink,
  target: "none" | "archive" | "manifest",
): Promise<"none" | "archive" | "manifest"> {
  if (message.type !== TYPE.copyData || target === "manifest") throw unexpected(message, "bytes of the backup");
  switch (message.body[0]) {
    case MARKER.archive:
      await sink.archive(readArchive(message.body));
      return "archive";
    case MARKER.manifest:
      return "manifest";
    case MARKER.progress:
      return target;
    default:
      throw protocolError(`a message of the backup has the kind ${message.body[0] ?? "none"}, expected n, d, m or p`);
  }
}

/** CommandComplete and ReadyForQuery: what makes the backup a good one. */
async function receiveEnd(wire: WireConnection, reports: readonly ServerReport[]): Promise<void> {
  for (const [type, what] of [
    [TYPE.commandComplete, "the end of the backup command"],
    [TYPE.ready, "the server to be ready"],
  ] as const) {
    let frame = wire.next();
    while (frame === undefined) {
      await wire.wait();
      frame = wire.next();
    }
    if (frame.kind !== "message") throw protocolError("the server sent bytes of the backup after its end");
    if (frame.type === TYPE.error) await wire.raise(frame.body, reportDetails(reports));
    if (frame.type !== type) throw unexpected(frame, what);
  }
}

function reportDetails(reports: readonly ServerReport[]): Readonly<Record<string, string>> {
  return reports.length === 0 ? {} : { warnings: reports.map((report) => report.message).join("; ") };
}

function readArchive(body: Buffer): { readonly name: string; readonly tablespaceOid: number | undefined } {
  const { text: name } = readCString(body, 1);
  if (name === "base.tar") return { name, tablespaceOid: undefined };
  // The name ends up in paths: nothing but a number is let through.
  const match = /^([1-9][0-9]{0,9})\.tar$/.exec(name);
  if (match === null) throw protocolError(`the backup holds an archive named "${name}", expected base.tar or a number`);
  return { name, tablespaceOid: Number(match[1]) };
}

function readTablespace(row: TextRow): BackupTablespace {
  return {
    oid: numberAt(row, { column: 0, what: "tablespace oid" }),
    location: textAt(row, { column: 1, what: "tablespace location" }),
    sizeBytes: sizeKiB(row) * 1024,
  };
}

function sizeKiB(row: TextRow): number {
  return row[2] === null ? 0 : numberAt(row, { column: 2, what: "tablespace size" });
}

/** First byte of the messages of a base backup that are not payload. */
const MARKER = { archive: 0x6e, manifest: 0x6d, progress: 0x70 } as const;
