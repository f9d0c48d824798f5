/**
 * Proofs of test backups, as the verb makes them, with the programs of a test server.
 */

import { systemLocks } from "../../src/platform/lock.ts";
import type { Processes } from "../../src/platform/processes.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { type Proof, type ProofProgress, type ProofRequest, proveBackup } from "../../src/proof/act.ts";
import type { BackupRecord } from "../../src/vault/backups.ts";
import type { ProofId } from "../../src/vault/names.ts";
import type { ProofDepth, ProofRecord } from "../../src/vault/proofs.ts";
import type { Vault } from "../../src/vault/vault.ts";
import { PORTS, SUPERUSER, serverUser, type TestServer } from "./servers.ts";

/** What is proven, by what, and where its sandbox lies. `server` only lends its programs. */
export type Proven = {
  readonly vault: Vault;
  readonly backup: BackupRecord;
  readonly server?: TestServer;
  readonly folder: string;
};

type Changes = Partial<ProofRequest> & {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ProofProgress) => void;
  readonly processes?: Processes;
  readonly onUnrecorded?: (record: ProofRecord) => void;
};

/** Proves and records; returns the record. */
export async function prove(of: Proven, depth: ProofDepth, changes: Changes = {}): Promise<ProofRecord> {
  return (await proveFully(of, depth, changes)).record;
}

/** Proves and records; returns all that came of it. */
export async function proveFully(of: Proven, depth: ProofDepth, changes: Changes = {}): Promise<Proof> {
  const { vault, backup, server } = of;
  const { signal, onProgress = () => undefined, processes = PORTS.processes, onUnrecorded, ...request } = changes;
  return proveBackup(
    { ...PORTS, processes, locks: systemLocks, random: systemRandom, vault, onProgress, onUnrecorded },
    {
      backup,
      depth,
      sandboxFolder: of.folder,
      installation: server?.installation,
      user: await serverUser(),
      role: SUPERUSER.name,
      bootTimeoutMs: 60_000,
      walLaidBytesMax: Number.POSITIVE_INFINITY,
      invariants: [],
      host: "here",
      ...request,
    },
    { signal },
  );
}

/** A record that nobody's proof made: of the given minute, passed unless it says where it failed. */
export function syntheticProof(
  backup: Pick<BackupRecord, "backupId" | "systemId">,
  as: { readonly minute: number; readonly asked: ProofDepth; readonly failedAt?: ProofDepth },
): ProofRecord {
  const minute = String(as.minute).padStart(2, "0");
  const at = `2026-01-01T04:${minute}:00.000Z`;
  return {
    format: "lifeboat-proof",
    version: 1,
    proofId: `20260101t04${minute}00z-00000000` as ProofId,
    backupId: backup.backupId,
    systemId: backup.systemId,
    asked: as.asked,
    reached: as.failedAt === undefined ? as.asked : null,
    failedAt: as.failedAt ?? null,
    findings: [],
    findingCount: 0,
    startedAt: at,
    endedAt: at,
    durationMs: 1000,
    phases: [],
    readBytes: 0,
    restoredBytes: 0,
    walBytes: 0,
    pointLsn: null,
    pointTimeline: null,
    serverVersion: null,
    host: "here",
    checked: null,
  };
}
