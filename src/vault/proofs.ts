/**
 * What was shown of backups, recorded in the vault. docs/formats/proof.md is the specification.
 *
 * Nouns: a *depth* says how much was shown, each one all of those before it; a proof *passed*, or *failed* at a depth with
 * *findings*, each one thing that is wrong.
 * Invariants: a proof is written once, after it ended, whatever its result; it lies among its backup's objects and goes
 * with them; one that does not open proves nothing.
 */
import { z } from "zod";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { BACKUPS_PREFIX, type BackupId, backupName, type ProofId, parseProofName, proofName } from "./names.ts";
import { isReadableJson, refusedJson } from "./refused-json.ts";
import { getBlob, putBlob, type Vault } from "./vault.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** How much of a backup is shown, from the least to the most. */
export const PROOF_DEPTHS = ["present", "intact", "booted", "checked"] as const;

/** A depth of proof. */
export type ProofDepth = (typeof PROOF_DEPTHS)[number];

/** What a proof spends its time on. */
export const PROOF_PHASES = ["present", "intact", "restore", "recover", "check"] as const;

/** A phase of a proof. */
export type ProofPhase = (typeof PROOF_PHASES)[number];

const whole = z.number().int().min(0);

const findingSchema = z.strictObject({
  /** The object of the vault, or the relation and block, or the invariant. */
  object: z.string(),
  /** A code of docs/errors.md, or of docs/formats/proof.md. */
  code: z.string(),
  message: z.string(),
});

const recordSchema = z.strictObject({
  format: z.literal("lifeboat-proof"),
  version: z.literal(1),
  proofId: z.string().transform((text) => text as ProofId),
  backupId: z.string().transform((text) => text as BackupId),
  systemId: z.string().transform((text) => text as SystemId),
  /** The depth that was asked for, and the deepest that was shown. */
  asked: z.enum(PROOF_DEPTHS),
  reached: z.enum(PROOF_DEPTHS).nullable(),
  /** The depth at which it failed; null for one that passed. */
  failedAt: z.enum(PROOF_DEPTHS).nullable(),
  /** The first of them; `findingCount` counts all that were seen. */
  findings: z.array(findingSchema),
  findingCount: whole,
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime(),
  durationMs: whole,
  phases: z.array(z.strictObject({ phase: z.enum(PROOF_PHASES), durationMs: whole })),
  /** Bytes read from the vault to look at them, bytes a restore wrote, bytes of WAL between its start and its end. */
  readBytes: whole,
  restoredBytes: whole,
  walBytes: whole,
  /** Where recovery ended; null when no server was started. */
  pointLsn: z.string().nullable(),
  pointTimeline: whole.nullable(),
  /** Of the programs that recovered it, for example `16.14`; null when none did. */
  serverVersion: z.string().nullable(),
  host: z.string(),
  /** What was looked at at the depth `checked`; null when that was not come to. */
  checked: z
    .strictObject({ databases: whole, pages: whole, heaps: whole, indexes: whole, invariants: whole })
    .nullable(),
});

/** A proof. */
export type ProofRecord = z.output<typeof recordSchema>;

/** One thing that is wrong. */
export type ProofFinding = z.output<typeof findingSchema>;

/** A proof whose record does not open: it proves nothing. */
export type DamagedProof = {
  readonly systemId: SystemId;
  readonly backupId: BackupId;
  readonly proofId: ProofId;
  readonly reason: LifeboatError;
};

/** All proofs, by the time they began. */
export type ProofListing = { readonly proofs: readonly ProofRecord[]; readonly damaged: readonly DamagedProof[] };

/** Records a proof. Throws `vault.backup-unknown` when its backup is no longer one: then there is nothing to prove. */
export async function putProof(vault: Vault, proof: ProofRecord, options: CallOptions): Promise<void> {
  const announced = await vault.store.head(backupName(proof, "announced"), options);
  const tombstone = await vault.store.head(backupName(proof, "tombstone"), options);
  if (announced === undefined || tombstone !== undefined) {
    throw new LifeboatError("vault.backup-unknown", {
      message: `backup ${proof.backupId} was removed from ${vault.store.name} while it was being proven; nothing was recorded`,
      remedy: "Prove another backup; `lifeboat backups` lists them.",
    });
  }
  await putBlob(vault, { name: proofName(proof), plain: Buffer.from(JSON.stringify(proof)) }, options);
}

/** Lists the proofs of all backups, or of one system's. One that does not open hides no other. */
export async function listProofs(
  vault: Vault,
  of: { readonly systemId?: SystemId | undefined },
  options: CallOptions,
): Promise<ProofListing> {
  const prefix = of.systemId === undefined ? BACKUPS_PREFIX : `${BACKUPS_PREFIX}${of.systemId}/`;
  const keys: string[] = [];
  for await (const { key } of vault.store.list(prefix, options)) keys.push(key);
  const proofs: ProofRecord[] = [];
  const damaged: DamagedProof[] = [];
  for (const key of keys) {
    const named = parseProofName(key);
    if (named === undefined) continue;
    try {
      proofs.push(await readProof(vault, { ...named, key }, options));
    } catch (error) {
      // A prune may be deleting it with its backup.
      if (isLifeboatError(error, "store.object-missing")) continue;
      if (!isLifeboatError(error) || !UNREADABLE.has(error.code)) throw error;
      damaged.push({ ...named, reason: error });
    }
  }
  const byStart = (a: { readonly proofId: ProofId }, b: { readonly proofId: ProofId }) =>
    a.proofId < b.proofId ? -1 : 1;
  // By their end first: two may begin in the same second.
  proofs.sort((a, b) => (`${a.endedAt} ${a.proofId}` < `${b.endedAt} ${b.proofId}` ? -1 : 1));
  return { proofs, damaged: damaged.sort(byStart) };
}

const UNREADABLE: ReadonlySet<string> = new Set(["vault.object-damaged", "vault.key-missing", "vault.format-unknown"]);

/** Whether these bytes are such a record, of this version or a later one. */
export function isProofRecord(plain: Buffer): boolean {
  return isReadableJson(plain, recordSchema);
}

async function readProof(
  vault: Vault,
  at: { readonly key: string; readonly backupId: BackupId; readonly proofId: ProofId },
  options: CallOptions,
): Promise<ProofRecord> {
  const text = (await getBlob(vault, at.key, options)).toString("utf8");
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw refusedJson(at.key, text, { why: "it is not a proof this version can read", cause });
  }
}
