/**
 * What is known against an earlier backup before anything is kept of it: proofs that failed, packs that are gone.
 *
 * Invariant: nothing of a pack is read here. Damage that no proof has found, in a pack of the right size, is not known; it is met
 * where the pack is read (parent-image.ts), or by the next proof.
 */
import { severalAtOnce } from "../platform/several-at-once.ts";
import { isAtLeast, type Standing, standings } from "../proof/decide.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { objectDamaged, objectMissing } from "../vault/header.ts";
import { packName } from "../vault/names.ts";
import type { PackFacts } from "../vault/pack.ts";
import { listProofs } from "../vault/proofs.ts";
import type { Vault } from "../vault/vault.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Packs looked at together: a backup of a terabyte has thirty thousand. */
const HEADS_AT_ONCE = 16;

/**
 * Whether a proof stands against a backup: one of its own that failed or does not open, or one of another backup that names a pack
 * of this one and is newer than what was shown of this one.
 */
export async function failedProof(
  vault: Vault,
  backup: { readonly record: BackupRecord; readonly packs: readonly PackFacts[] },
  options: CallOptions,
): Promise<boolean> {
  const { systemId, backupId } = backup.record;
  const found = standings(await listProofs(vault, { systemId }, options));
  const own = found.get(backupId) ?? { kind: "none" };
  if (own.kind === "failed" || own.kind === "unreadable") return true;
  const named = packsNamed([...found.values()], intactSince(own));
  return backup.packs.some(({ id }) => named.has(packName(id)));
}

/** When every byte of a backup was last read and found well; undefined when that never was. */
function intactSince(standing: Standing): string | undefined {
  return standing.kind === "proven" && isAtLeast(standing.depth, "intact") ? standing.proof.endedAt : undefined;
}

/** What failures after a moment say is missing or damaged. A proof keeps the first fifty findings: there may be more. */
function packsNamed(standing: readonly Standing[], since: string | undefined): ReadonlySet<string> {
  const named = new Set<string>();
  for (const each of standing) {
    if (each.kind !== "failed" || (since !== undefined && each.proof.endedAt < since)) continue;
    for (const { object } of each.proof.findings) named.add(object);
  }
  return named;
}

/** Throws `vault.object-missing` or `vault.object-damaged` unless every pack is there with its size. */
export async function assertPacksThere(
  vault: Vault,
  packs: readonly Pick<PackFacts, "id" | "sizeBytes">[],
  options: CallOptions,
): Promise<void> {
  await severalAtOnce(packs, HEADS_AT_ONCE, async ({ id, sizeBytes }) => {
    const name = packName(id);
    const facts = await vault.store.head(name, options);
    if (facts === undefined) throw objectMissing(name);
    if (facts.sizeBytes === sizeBytes) return;
    throw objectDamaged(name, `it has ${facts.sizeBytes} bytes, ${sizeBytes} were stored`);
  });
}
