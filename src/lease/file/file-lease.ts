/**
 * Leases among the processes of one machine: a kernel lock says who, a synced file says which epoch.
 *
 * Invariants: the lock is held from before the epoch is read until the term ends, so no two read the same; the new epoch is on
 * stable storage before it is granted. The lock ends with its process however that ends, and a halted process keeps it: on one
 * machine nobody takes over from who still lives. Who renews looks whether the file still says its epoch, so that somebody who
 * removed the folder under a holder has ended its term. docs/formats/epoch.md is the specification of the file.
 */
import path from "node:path";
import { z } from "zod";
import { isLifeboatError, LifeboatError } from "../../errors/error.ts";
import { errorText } from "../../errors/error-text.ts";
import { type Clock, formatInstant } from "../../platform/clock.ts";
import { makeFolderDurable, writeDurable } from "../../platform/durable.ts";
import type { Files } from "../../platform/files.ts";
import type { Lock, Locks } from "../../platform/lock.ts";
import {
  type Claim,
  type ClaimAnswer,
  type Epoch,
  type Holding,
  type LeaseStore,
  NO_EPOCH,
  nextEpoch,
  storeFailed,
  type Term,
} from "../lease.ts";

/**
 * How long a holder may go without a look at the file, longer than any single act may take. Nobody waits for it: the lock
 * decides who is let in.
 */
const TERM_MS = 30_000;

const EPOCH_FILE = "epoch.json";
const LOCK_FILE = "epoch.lock";

const recordSchema = z.strictObject({
  format: z.literal("lifeboat-epoch"),
  version: z.literal(1),
  epoch: z.number().int().min(1),
  holder: z.string(),
  grantedAt: z.string(),
});

/** What it needs of the machine. */
export type FileLeaseTools = { readonly files: Files; readonly locks: Locks; readonly clock: Clock };

/** The leases of a folder, which is made where it is not there. */
export function fileLeaseStore(tools: FileLeaseTools, folder: string): LeaseStore {
  return {
    name: folder,
    durationMs: TERM_MS,
    claim: async (claim) => {
      // Whoever has one made before has synced its name: a claim is in a hurry.
      if ((await tools.files.stat(folder)) === undefined) await makeFolderDurable(tools.files, folder);
      const lock = tools.locks.tryAcquire(path.join(folder, LOCK_FILE));
      if (lock === undefined) return { kind: "held", by: await holdingOf(tools.files, folder) };
      try {
        return await grant(tools, { folder, claim, lock });
      } catch (error) {
        lock.release();
        throw isLifeboatError(error, "lease.record-damaged")
          ? error
          : storeFailed(folder, "could not record an epoch", error);
      }
    },
  };
}

async function grant(
  { files, clock }: FileLeaseTools,
  { folder, claim, lock }: { readonly folder: string; readonly claim: Claim; readonly lock: Lock },
): Promise<ClaimAnswer> {
  const last = await readEpoch(files, folder);
  const epoch = nextEpoch(claim.floor, last?.epoch ?? NO_EPOCH);
  const record = {
    format: "lifeboat-epoch",
    version: 1,
    epoch,
    holder: claim.holder,
    grantedAt: formatInstant(clock.now()),
  };
  await writeDurable(files, {
    file: path.join(folder, EPOCH_FILE),
    parts: [Buffer.from(`${JSON.stringify(record)}\n`)],
    over: "replace",
    unique: "lifeboat",
  });
  return { kind: "granted", epoch, term: new FileTerm(files, folder, { epoch, lock }) };
}

class FileTerm implements Term {
  readonly durationMs = TERM_MS;
  readonly #files: Files;
  readonly #folder: string;
  readonly #epoch: Epoch;
  readonly #lock: Lock;

  constructor(files: Files, folder: string, held: { readonly epoch: Epoch; readonly lock: Lock }) {
    this.#files = files;
    this.#folder = folder;
    this.#epoch = held.epoch;
    this.#lock = held.lock;
  }

  async renew(): Promise<"renewed" | "lost"> {
    let last: Holding | undefined;
    try {
      last = await readEpoch(this.#files, this.#folder);
    } catch (error) {
      throw storeFailed(this.#folder, "could not be read", error);
    }
    return last?.epoch === this.#epoch ? "renewed" : "lost";
  }

  async end(): Promise<void> {
    this.#lock.release();
  }
}

/** The last epoch that was granted; undefined before the first. Rejects with `lease.record-damaged`. */
async function readEpoch(files: Files, folder: string): Promise<Holding | undefined> {
  const file = path.join(folder, EPOCH_FILE);
  try {
    const { epoch, holder } = recordSchema.parse(JSON.parse((await files.readFile(file)).toString("utf8")));
    return { epoch: epoch as Epoch, holder };
  } catch (cause) {
    if (isLifeboatError(cause, "platform.file-missing")) return undefined;
    if (isLifeboatError(cause)) throw cause;
    throw new LifeboatError("lease.record-damaged", {
      message: `${file} cannot be read: ${errorText(cause)}`,
      remedy:
        "Find the greatest epoch in the journal beside it, write a file with that one (docs/formats/epoch.md), and try again.",
      cause,
    });
  }
}

async function holdingOf(files: Files, folder: string): Promise<Holding> {
  // Between taking the lock and writing the file for the first time there is nothing to read.
  const last = await readEpoch(files, folder).catch(() => undefined);
  return last ?? { holder: "somebody who has only just come", epoch: NO_EPOCH };
}
