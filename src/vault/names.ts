/**
 * The keys of a vault's objects. docs/formats/vault.md is their specification.
 */
import type { SystemId, Timeline } from "../postgres/lsn.ts";

/** Names one backup of a vault: `20261122t221530z-9f3a61c2`. Sorts by the time it began. */
export type BackupId = string & { readonly brand: "BackupId" };

/** Names a data key: 32 hexadecimal digits. */
export type KeyId = string & { readonly brand: "KeyId" };

/** Names a pack: 32 hexadecimal digits, which are also the salt of its key. */
export type PackId = string & { readonly brand: "PackId" };

/** Names one proof of a backup, as a backup is named; sorts by the time it began. */
export type ProofId = string & { readonly brand: "ProofId" };

/** The marker object that makes a store a vault. */
export const VAULT_MARKER = "vault.json";
/** Has the same bytes. Readers of earlier versions pass over it. */
export const VAULT_MARKER_COPY = "notes/vault";

export const KEYS_PREFIX = "keys/";
/** Notes about wraps that were removed. */
export const KEY_NOTES_PREFIX = "notes/keys/";
export const PACKS_PREFIX = "packs/";
export const BACKUPS_PREFIX = "backups/";
export const WAL_PREFIX = "wal/";
export const HOLDS_PREFIX = "holds/";
/** What a repair set aside. */
export const QUARANTINE_PREFIX = "quarantine/";

/** Where one wrap of a data key lies. */
export function keyWrapName(wrap: { readonly keyId: KeyId; readonly wrapId: string }): string {
  return `${KEYS_PREFIX}${wrap.keyId}/${wrap.wrapId}.json`;
}

/** Reads a key made by `keyWrapName`; undefined for any other. */
export function parseKeyWrapName(key: string): { readonly keyId: KeyId; readonly wrapId: string } | undefined {
  const match = /^keys\/([0-9a-f]{32})\/([0-9a-f]{16})\.json$/.exec(key);
  return match === null ? undefined : { keyId: match[1] as KeyId, wrapId: match[2] ?? "" };
}

/** Where the note lies that a holder's wraps were removed. */
export function keyNoteName(wrapId: string): string {
  return `${KEY_NOTES_PREFIX}${wrapId}`;
}

export function packName(pack: PackId): string {
  return `${PACKS_PREFIX}${pack.slice(0, 2)}/${pack}`;
}

/**
 * The objects of one backup. `started` is put first, `announced` last; only the last makes it a backup, until it gets a
 * `tombstone`.
 */
export function backupName(
  backup: { readonly systemId: SystemId; readonly backupId: BackupId },
  part: "started" | "manifest" | "announced" | "tombstone",
): string {
  return `${BACKUPS_PREFIX}${backup.systemId}/${backup.backupId}/${part}`;
}

/** Reads a key made by `backupName`; undefined for any other. */
export function parseBackupName(
  key: string,
): { readonly systemId: SystemId; readonly backupId: BackupId; readonly part: string } | undefined {
  const match = /^backups\/(\d{1,20})\/(\d{8}t\d{6}z-[0-9a-f]{8})\/([a-z]+)$/.exec(key);
  if (match === null) return undefined;
  return { systemId: match[1] as SystemId, backupId: match[2] as BackupId, part: match[3] ?? "" };
}

/** Where a proof lies: among the objects of its backup, and deleted with them. */
export function proofName(proof: {
  readonly systemId: SystemId;
  readonly backupId: BackupId;
  readonly proofId: ProofId;
}): string {
  return `${BACKUPS_PREFIX}${proof.systemId}/${proof.backupId}/proof-${proof.proofId}`;
}

/** Reads a key made by `proofName`; undefined for any other. */
export function parseProofName(
  key: string,
): { readonly systemId: SystemId; readonly backupId: BackupId; readonly proofId: ProofId } | undefined {
  const match = /^backups\/(\d{1,20})\/(\d{8}t\d{6}z-[0-9a-f]{8})\/proof-(\d{8}t\d{6}z-[0-9a-f]{8})$/.exec(key);
  if (match === null) return undefined;
  return { systemId: match[1] as SystemId, backupId: match[2] as BackupId, proofId: match[3] as ProofId };
}

/** Where a repair keeps an object that it set aside: its name is behind that of the repair. */
export function quarantineName(of: { readonly repairId: string; readonly object: string }): string {
  return `${QUARANTINE_PREFIX}${of.repairId}/${of.object}`;
}

/** Where a hold lies: what it holds is in its name. */
export function holdName(hold: { readonly scope: BackupId | "all"; readonly holdId: string }): string {
  return `${HOLDS_PREFIX}${hold.scope}/${hold.holdId}`;
}

/** Reads a key made by `holdName`; undefined for any other. */
export function parseHoldName(key: string): { readonly scope: BackupId | "all"; readonly holdId: string } | undefined {
  const match = /^holds\/(all|\d{8}t\d{6}z-[0-9a-f]{8})\/([0-9a-f]{16})$/.exec(key);
  return match === null ? undefined : { scope: match[1] as BackupId | "all", holdId: match[2] ?? "" };
}

/** Where a complete WAL segment lies. `segment` is PostgreSQL's file name. */
export function segmentKey(at: { readonly systemId: SystemId; readonly segment: string }): string {
  const timeline = at.segment.slice(0, 8).toLowerCase();
  return `${WAL_PREFIX}${at.systemId}/${timeline}/${at.segment.toLowerCase()}`;
}

/** The common beginning of the keys of one timeline's segments. */
export function timelinePrefix(at: { readonly systemId: SystemId; readonly timeline: Timeline }): string {
  return `${WAL_PREFIX}${at.systemId}/${at.timeline.toString(16).padStart(8, "0")}/`;
}

/** Where a timeline's history file lies. */
export function historyKey(at: { readonly systemId: SystemId; readonly timeline: Timeline }): string {
  return `${WAL_PREFIX}${at.systemId}/history/${at.timeline.toString(16).padStart(8, "0")}`;
}

/** Reads a key of the WAL area: a segment (PostgreSQL's file name), a history, or undefined for any other. */
export function parseWalKey(
  key: string,
):
  | { readonly kind: "segment"; readonly systemId: SystemId; readonly segment: string }
  | { readonly kind: "history"; readonly systemId: SystemId; readonly timeline: Timeline }
  | undefined {
  const segment = /^wal\/(\d{1,20})\/([0-9a-f]{8})\/(\2[0-9a-f]{16})$/.exec(key);
  if (segment !== null) {
    return { kind: "segment", systemId: segment[1] as SystemId, segment: (segment[3] ?? "").toUpperCase() };
  }
  const history = /^wal\/(\d{1,20})\/history\/([0-9a-f]{8})$/.exec(key);
  if (history === null) return undefined;
  const timeline = Number.parseInt(history[2] ?? "", 16) as Timeline;
  return { kind: "history", systemId: history[1] as SystemId, timeline };
}
