/**
 * Carries out a plan of a prune.
 *
 * Order: tombstones that were taken back, new tombstones, the objects of backups whose grace is over, then packs and WAL;
 * new tombstones once more when there was no room for them, since a full vault must not keep what would make room.
 * Cut anywhere, every backup that stays is whole, and the next prune goes on where this one stopped.
 * Invariants: what runs is the plan, nothing else; of a backup nothing is deleted after something of it could not be; packs
 * and WAL go only when everything before them went; holds are looked at once more before each backup is deleted, right
 * after its announcement was (it is put back then), and every second while packs and WAL are. Deleting what is gone is no
 * error, so two prunes at once delete the same things.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { throwIfAborted } from "../platform/clock.ts";
import { backupName, parseBackupName } from "../vault/names.ts";
import type { Vault } from "../vault/vault.ts";
import { type Hold, listHolds } from "./holds.ts";
import type { PrunePlan, RemovedObject } from "./survey.ts";
import { putTombstone } from "./tombstones.ts";

export type ActOptions = {
  readonly onProgress: (progress: { readonly doneObjects: number; readonly totalObjects: number }) => void;
  readonly signal?: AbortSignal | undefined;
};

/** What a prune deleted. */
export type PruneResult = { readonly deletedObjects: number; readonly freedBytes: number };

/** A store that refuses so many deletions refuses them all. */
const FAILURES_MAX = 20;

/** So long a hold may go unseen while packs and WAL are deleted: of what is left then, all stays. */
const HOLDS_LOOK_MS = 1000;

/**
 * Carries the plan out. Throws `retention.hold-appeared` when something was held since it was planned, before anything more
 * is deleted, `retention.removal-failed` when something could not be deleted, after trying the rest, and
 * `platform.disk-full` when all that was due is deleted and there is still no room for new tombstones.
 */
export async function runPrune(vault: Vault, plan: PrunePlan, options: ActOptions): Promise<PruneResult> {
  if (plan.decision.blockedBy !== undefined) return { deletedObjects: 0, freedBytes: 0 };
  for (const backup of plan.revive) await vault.store.delete(backupName(backup, "tombstone"), options);
  const full = await putTombstones(vault, plan, options);
  const removal = new Removal(vault, plan, options);
  await checkHolds(vault, { plan, removal }, options);
  for (const { objects } of plan.erase) {
    await eraseBackup(vault, { plan, removal, objects }, options);
  }
  if (!removal.failed) await sweep(vault, { plan, removal }, options);
  const stillFull = full === undefined ? undefined : await putTombstones(vault, plan, options);
  const result = removal.end();
  if (stillFull === undefined) return result;
  throw new LifeboatError("platform.disk-full", {
    message: `${stillFull.message}; ${result.deletedObjects} objects were deleted, and backups that are to go next lack their tombstones`,
    remedy: stillFull.remedy,
    retryable: true,
    cause: stillFull,
    details: { deletedObjects: result.deletedObjects, freedBytes: result.freedBytes },
  });
}

/** Puts the new tombstones; returns the error when there is no room for one. */
async function putTombstones(vault: Vault, plan: PrunePlan, options: ActOptions): Promise<LifeboatError | undefined> {
  try {
    for (const backup of plan.tombstone) await putTombstone(vault, backup, options);
    return undefined;
  } catch (error) {
    if (isLifeboatError(error, "platform.disk-full")) return error;
    throw error;
  }
}

/**
 * Deletes the objects of one backup, the announcement first. Whoever holds it looks for the announcement after he has put his
 * hold, and we look for his hold after we have deleted the announcement: one of us sees the other, whatever came first.
 */
async function eraseBackup(
  vault: Vault,
  at: { readonly plan: PrunePlan; readonly removal: Removal; readonly objects: readonly RemovedObject[] },
  options: ActOptions,
): Promise<void> {
  await checkHolds(vault, at, options);
  const { removal, objects } = at;
  const [first, ...rest] = objects;
  if (first === undefined || parseBackupName(first.name)?.part !== "announced") return removal.inOrder(objects);
  const bytes = await readOnce(vault, first.name, options);
  if (!(await removal.one(first))) return undefined;
  const found = await newHold(vault, at.plan, options);
  if (found === undefined) return removal.inOrder(rest);
  if (bytes !== undefined) await removal.putBack(first, bytes);
  throw holdAppeared(found, removal);
}

/** Undefined when it cannot be read: a damaged announcement is of no use to whoever holds its backup. */
async function readOnce(vault: Vault, name: string, options: ActOptions): Promise<Buffer | undefined> {
  try {
    return await vault.store.get(name, options);
  } catch (error) {
    if (!isLifeboatError(error) || error.code === "platform.aborted") throw error;
    return undefined;
  }
}

async function sweep(
  vault: Vault,
  at: { readonly plan: PrunePlan; readonly removal: Removal },
  options: ActOptions,
): Promise<void> {
  const { clock } = vault;
  await checkHolds(vault, at, options);
  let lookedMs = clock.monotonic();
  for (const object of [...at.plan.packs, ...at.plan.wal]) {
    if (clock.monotonic() - lookedMs >= HOLDS_LOOK_MS) {
      await checkHolds(vault, at, options);
      lookedMs = clock.monotonic();
    }
    await at.removal.one(object);
  }
}

async function checkHolds(
  vault: Vault,
  { plan, removal }: { readonly plan: PrunePlan; readonly removal: Removal },
  options: ActOptions,
): Promise<void> {
  const found = await newHold(vault, plan, options);
  if (found !== undefined) throw holdAppeared(found, removal);
}

/** A hold on what the plan deletes that was put since it was made. */
async function newHold(vault: Vault, plan: PrunePlan, options: ActOptions): Promise<Hold | undefined> {
  const known = new Set(plan.holds.map(({ holdId }) => holdId));
  const held = new Set(plan.erase.map(({ backupId }): string => backupId));
  return (await listHolds(vault, options)).find(
    ({ holdId, scope }) => !known.has(holdId) && (scope === "all" || held.has(scope)),
  );
}

function holdAppeared(found: Hold, { deletedObjects }: Removal): LifeboatError {
  return new LifeboatError("retention.hold-appeared", {
    message: `${found.scope === "all" ? "the vault" : `backup ${found.scope}`} was held since the prune was planned: ${found.reason ?? "its reason does not open"}; ${deletedObjects} objects were deleted before that was seen`,
    remedy: "Nothing more was deleted. Prune again: the hold is respected.",
    details: { deletedObjects },
  });
}

class Removal {
  readonly #vault: Vault;
  readonly #options: ActOptions;
  readonly #totalObjects: number;
  readonly #failures: { readonly object: string; readonly reason: LifeboatError }[] = [];
  #deletedObjects = 0;
  #freedBytes = 0;

  constructor(vault: Vault, plan: PrunePlan, options: ActOptions) {
    this.#vault = vault;
    this.#options = options;
    const erased = plan.erase.reduce((count, { objects }) => count + objects.length, 0);
    this.#totalObjects = erased + plan.packs.length + plan.wal.length;
  }

  get deletedObjects(): number {
    return this.#deletedObjects;
  }

  get failed(): boolean {
    return this.#failures.length > 0;
  }

  /** Deletes objects that go in this order or not at all. */
  async inOrder(objects: readonly RemovedObject[]): Promise<void> {
    for (const object of objects) if (!(await this.one(object))) return;
  }

  async one(object: RemovedObject): Promise<boolean> {
    throwIfAborted(this.#options.signal, "pruning");
    if (this.#failures.length >= FAILURES_MAX) return false;
    try {
      await this.#vault.store.delete(object.name, this.#options);
    } catch (error) {
      if (!isLifeboatError(error) || error.code === "platform.aborted") throw error;
      this.#failures.push({ object: object.name, reason: error });
      return false;
    }
    this.#deletedObjects += 1;
    this.#freedBytes += object.sizeBytes;
    this.#options.onProgress({ doneObjects: this.#deletedObjects, totalObjects: this.#totalObjects });
    return true;
  }

  /** Takes back the deletion of an object. */
  async putBack(object: RemovedObject, bytes: Buffer): Promise<void> {
    await this.#vault.store.put(object.name, [bytes], this.#options);
    this.#deletedObjects -= 1;
    this.#freedBytes -= object.sizeBytes;
  }

  end(): PruneResult {
    const [first] = this.#failures;
    if (first === undefined) return { deletedObjects: this.#deletedObjects, freedBytes: this.#freedBytes };
    throw new LifeboatError("retention.removal-failed", {
      message: `${this.#failures.length} objects could not be deleted from ${this.#vault.store.name}, ${this.#deletedObjects} of ${this.#totalObjects} were; the first: ${first.reason.message}`,
      remedy: "Mend what the store complains of, and prune again: it goes on where it stopped.",
      cause: first.reason,
      retryable: true,
      details: { objects: this.#failures.map(({ object }) => object).join(" ") },
    });
  }
}
