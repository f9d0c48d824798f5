/**
 * Base backups of real servers, recorded once and replayed often: what a server sends does not change with what becomes of
 * it, so a test that fails each step of a backup in turn needs no server for each.
 */
import { createHash } from "node:crypto";
import path from "node:path";
import type { BackupTools, WalCoverage } from "../../src/backup/backup.ts";
import { takeBackup } from "../../src/backup/backup.ts";
import { systemClock, throwIfAborted } from "../../src/platform/clock.ts";
import { systemFiles } from "../../src/platform/files.ts";
import { lsnAdd, segmentName, segmentStart } from "../../src/postgres/lsn.ts";
import type {
  BaseBackupEnd,
  BaseBackupSink,
  ReplicationConnection,
  SystemIdentity,
} from "../../src/postgres/replication.ts";
import type { BackupRecord } from "../../src/vault/backups.ts";
import type { Vault } from "../../src/vault/vault.ts";
import { putSegment } from "../../src/vault/wal-store.ts";
import { openTestReplication, segmentBytesOf } from "./backups.ts";
import type { TestServer } from "./servers.ts";

/** What one server sent, and the WAL from the backup's start to its end. */
export type Recording = {
  readonly serverVersion: number;
  readonly identity: SystemIdentity;
  readonly settings: ReadonlyMap<string, string>;
  readonly begin: Parameters<BaseBackupSink["begin"]>[0];
  readonly archives: readonly {
    readonly name: string;
    readonly tablespaceOid: number | undefined;
    readonly bytes: Buffer;
  }[];
  readonly manifest: Buffer;
  readonly end: BaseBackupEnd;
  readonly wal: ReadonlyMap<string, Buffer>;
};

const SETTINGS = ["full_page_writes", "wal_log_hints", "wal_level", "data_checksums"];
/** How a socket hands out what a server sends. */
const VIEW_BYTES = 64 * 1024;

/** Records a base backup and the WAL that makes it consistent. */
export async function recordBackup(server: TestServer): Promise<Recording> {
  const connection = await openTestReplication(server);
  try {
    const archives: { name: string; tablespaceOid: number | undefined; parts: Buffer[] }[] = [];
    let begin: Recording["begin"] | undefined;
    let manifest: Buffer | undefined;
    const sink: BaseBackupSink = {
      begin: (facts) => {
        begin = facts;
      },
      archive: (facts) => void archives.push({ ...facts, parts: [] }),
      data: (view) => void archives.at(-1)?.parts.push(Buffer.from(view)),
      manifest: (json) => {
        manifest = json;
      },
    };
    const settings = new Map<string, string>();
    for (const name of SETTINGS) settings.set(name, await connection.show(name, {}));
    const identity = await connection.identifySystem({});
    const asked = { label: "test", checkpoint: "fast", waitForArchive: false, manifestChecksums: "none" } as const;
    const end = await connection.baseBackup(asked, sink, {});
    if (begin === undefined || manifest === undefined) throw new Error("the server sent no whole backup");
    return {
      serverVersion: connection.serverVersion,
      identity,
      settings,
      begin,
      manifest,
      end,
      archives: archives.map(({ parts, ...facts }) => ({ ...facts, bytes: Buffer.concat(parts) })),
      wal: await readWal(server, { ...identity, from: begin.startLsn, to: end.endLsn }),
    };
  } finally {
    await connection.close();
  }
}

/** Reads complete segments from the server's pg_wal. */
export async function readWal(
  server: TestServer,
  of: { readonly timeline: SystemIdentity["timeline"]; readonly from: bigint; readonly to: bigint },
): Promise<ReadonlyMap<string, Buffer>> {
  await server.query("SELECT pg_switch_wal()");
  const walSegmentBytes = await segmentBytesOf(server);
  const wal = new Map<string, Buffer>();
  let lsn = segmentStart(of.from as Recording["end"]["endLsn"], walSegmentBytes);
  for (; lsn < of.to; lsn = lsnAdd(lsn, walSegmentBytes)) {
    const name = segmentName({ timeline: of.timeline, lsn, walSegmentBytes });
    wal.set(name, await systemFiles.readFile(path.join(server.dataFolder, "pg_wal", name)));
  }
  return wal;
}

/** A member of a recorded archive: its path as a manifest has it, its 512 bytes of header, its content. */
export type Member = {
  readonly path: string;
  readonly kind: "file" | "folder";
  readonly header: Buffer;
  readonly content: Buffer;
};

/** The members of all archives. */
export function membersOf(recording: Recording): readonly Member[] {
  return recording.archives.flatMap((archive) => {
    const prefix = archive.tablespaceOid === undefined ? "" : `pg_tblspc/${archive.tablespaceOid}/`;
    return [...readTar(archive.bytes)].map((member) => ({ ...member, path: `${prefix}${member.path}` }));
  });
}

function* readTar(bytes: Buffer): Generator<Member> {
  let at = 0;
  while (at < bytes.byteLength && bytes[at] !== 0) {
    const header = bytes.subarray(at, at + 512);
    const name = header.toString("latin1", 0, header.indexOf(0)).replace(/^\.\/|\/$/g, "");
    const size = Number.parseInt(header.toString("latin1", 124, 135), 8);
    const content = bytes.subarray(at + 512, at + 512 + size);
    yield { path: name, kind: header[156] === "5".charCodeAt(0) ? "folder" : "file", header, content };
    at += 512 + Math.ceil(size / 512) * 512;
  }
}

/** The same backup with fewer files: no server starts from it, but everything else can be done with it, and fast. */
export function trimRecording(recording: Recording, keep: (path: string) => boolean): Recording {
  const archives = recording.archives.map((archive) => {
    const prefix = archive.tablespaceOid === undefined ? "" : `pg_tblspc/${archive.tablespaceOid}/`;
    const parts: Buffer[] = [];
    for (const { path: name, header, content } of readTar(archive.bytes)) {
      if (!keep(`${prefix}${name}`)) continue;
      parts.push(header, content, Buffer.alloc((512 - (content.byteLength % 512)) % 512));
    }
    return { ...archive, bytes: Buffer.concat([...parts, Buffer.alloc(1024)]) };
  });
  return changeManifest({ ...recording, archives }, (files) => files.filter((file) => keep(file.Path)));
}

/** The same backup with the bytes of one file changed; its length stays. */
export function changeFile(recording: Recording, name: string, change: (content: Buffer) => void): Recording {
  const archives = recording.archives.map((archive) => ({ ...archive, bytes: Buffer.from(archive.bytes) }));
  const changed = { ...recording, archives };
  for (const member of membersOf(changed)) if (member.path === name) change(member.content);
  return changed;
}

type ManifestFile = { readonly Path: string; readonly Size: number };

/** The same backup with another list of files, whose checksum fits. */
export function changeManifest(
  recording: Recording,
  change: (files: readonly ManifestFile[]) => readonly ManifestFile[],
): Recording {
  const json = JSON.parse(recording.manifest.toString("utf8"));
  const { "Manifest-Checksum": _, ...rest } = { ...json, Files: change(json.Files) };
  const text = `${JSON.stringify(rest).slice(0, -1)},\n`;
  const checksum = createHash("sha256").update(text).digest("hex");
  return { ...recording, manifest: Buffer.from(`${text}"Manifest-Checksum": "${checksum}"}\n`) };
}

/** Every few kilobytes of a replayed backup. */
export type ReplayHook = (progress: { readonly views: number }) => void | Promise<void>;

/** A connection on which a server sends the recording; `onView` is called before each part of it. */
export function replay(recording: Recording, onView: ReplayHook = () => undefined): ReplicationConnection {
  const never = (): never => {
    throw new Error("this was not recorded");
  };
  return {
    serverVersion: recording.serverVersion,
    backendPid: 0,
    identifySystem: async () => recording.identity,
    show: async (name) => recording.settings.get(name) ?? never(),
    timelineHistory: never,
    createSlot: never,
    readSlot: never,
    dropSlot: never,
    startWal: never,
    close: async () => undefined,
    baseBackup: async (_request, sink, { signal }) => {
      let views = 0;
      await sink.begin(recording.begin);
      for (const { bytes, ...facts } of recording.archives) {
        await sink.archive(facts);
        for (let at = 0; at < bytes.byteLength; at += VIEW_BYTES) {
          await onView({ views });
          throwIfAborted(signal, "replaying a base backup");
          await sink.data(bytes.subarray(at, at + VIEW_BYTES));
          views += 1;
        }
      }
      await sink.manifest(recording.manifest);
      return recording.end;
    },
  };
}

/** Puts the recorded WAL into the vault. */
export function recordedWal(recording: Recording, vault: Vault): WalCoverage {
  return {
    begin: async () => undefined,
    covered: async ({ systemId }, options) => {
      for (const [segment, bytes] of recording.wal) await putSegment(vault, { systemId, segment, bytes }, options);
    },
  };
}

/** Takes a backup from a recording. */
export function takeRecorded(
  recording: Recording,
  vault: Vault,
  changes: {
    readonly tools?: Partial<BackupTools>;
    readonly onView?: ReplayHook;
    readonly signal?: AbortSignal;
    readonly adoptSystem?: boolean;
  } = {},
): Promise<BackupRecord> {
  const tools: BackupTools = {
    vault,
    clock: systemClock,
    connection: replay(recording, changes.onView),
    wal: recordedWal(recording, vault),
    outsideFiles: [],
    onProgress: () => undefined,
    ...changes.tools,
  };
  const adoptSystem = changes.adoptSystem ?? false;
  const request = { label: "test", checkpoint: "fast", compression: { level: 1 }, adoptSystem } as const;
  return takeBackup(tools, request, { signal: changes.signal });
}
