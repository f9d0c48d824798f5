/**
 * Holds: what a prune must not remove. docs/formats/vault.md has their format.
 *
 * Invariant: a hold works by its name alone: one that cannot be opened holds all the same.
 */
import { z } from "zod";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { formatInstant } from "../platform/clock.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { type BackupId, backupName, HOLDS_PREFIX, holdName, parseHoldName } from "../vault/names.ts";
import { getBlob, putBlob, type Vault } from "../vault/vault.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** What is held: one backup, or everything in the vault during an incident. */
export type HoldScope = BackupId | "all";

/** A hold. `reason` is undefined when it cannot be opened. */
export type Hold = {
  readonly scope: HoldScope;
  readonly holdId: string;
  readonly heldMs: number;
  readonly reason: string | undefined;
};

const holdSchema = z.object({ reason: z.string() });

/** Holds a backup, or all. Any number of holds may lie on one. Of a backup it is to be confirmed (`confirmHold`). */
export async function putHold(
  vault: Vault,
  hold: { readonly scope: HoldScope; readonly reason: string },
  options: CallOptions,
): Promise<Hold> {
  const { scope, reason } = hold;
  const holdId = vault.random(8).toString("hex");
  const heldMs = vault.clock.now();
  const plain = Buffer.from(
    JSON.stringify({ format: "lifeboat-hold", version: 1, heldAt: formatInstant(heldMs), reason }),
  );
  await putBlob(vault, { name: holdName({ scope, holdId }), plain }, options);
  return { scope, holdId, heldMs, reason };
}

/**
 * Makes sure that a hold on a backup was not too late: a prune deletes the announcement, and looks for holds after that.
 * Releases the hold and throws `vault.backup-unknown` when the announcement is gone.
 */
export async function confirmHold(
  vault: Vault,
  held: { readonly hold: Hold; readonly systemId: SystemId; readonly backupId: BackupId },
  options: CallOptions,
): Promise<void> {
  if ((await vault.store.head(backupName(held, "announced"), options)) !== undefined) return;
  await vault.store.delete(holdName(held.hold), options);
  throw new LifeboatError("vault.backup-unknown", {
    message: `backup ${held.backupId} cannot be held any more: a prune is deleting it from ${vault.store.name}`,
    remedy:
      "Hold everything to stop the prune: `lifeboat backup hold --all --reason TEXT`. Then look at `lifeboat backups --all`.",
  });
}

/** All holds, by their names. */
export async function listHolds(vault: Vault, options: CallOptions): Promise<readonly Hold[]> {
  const holds: Hold[] = [];
  for await (const { key, storedMs } of vault.store.list(HOLDS_PREFIX, options)) {
    const named = parseHoldName(key);
    if (named !== undefined) holds.push({ ...named, heldMs: storedMs, reason: await readReason(vault, key, options) });
  }
  return holds;
}

/** Removes every hold of one backup, or every hold on all. Throws `retention.not-held`. */
export async function releaseHolds(vault: Vault, scope: HoldScope, options: CallOptions): Promise<readonly Hold[]> {
  const holds = (await listHolds(vault, options)).filter((hold) => hold.scope === scope);
  if (holds.length === 0) {
    throw new LifeboatError("retention.not-held", {
      message: `${scope === "all" ? "the vault as a whole" : `backup ${scope}`} is not held in ${vault.store.name}`,
      remedy: "See `lifeboat prune --dry-run`, which names what is held.",
    });
  }
  for (const hold of holds) await vault.store.delete(holdName(hold), options);
  return holds;
}

async function readReason(vault: Vault, key: string, options: CallOptions): Promise<string | undefined> {
  try {
    return holdSchema.parse(JSON.parse((await getBlob(vault, key, options)).toString("utf8"))).reason;
  } catch (error) {
    const unreadable = ["vault.object-damaged", "vault.key-missing", "vault.format-unknown", "store.object-missing"];
    if (isLifeboatError(error) && !unreadable.includes(error.code)) throw error;
    return undefined;
  }
}
