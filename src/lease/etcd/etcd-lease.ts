/**
 * Leases in etcd, for controllers on several machines.
 *
 * Two keys: `<prefix>/holder` hangs on an etcd lease and is gone when that is over; `<prefix>/epoch` stays. One transaction
 * puts both, and only where nobody holds and the epoch is the one that was read.
 * Invariant: etcd's own locks promise no exclusion, so nothing rests on them: it rests on the comparison, and on the holder's
 * deadline, which comes before etcd's.
 */
import { LifeboatError } from "../../errors/error.ts";
import {
  type Claim,
  type ClaimAnswer,
  type Epoch,
  type Holding,
  type LeaseStore,
  NO_EPOCH,
  nextEpoch,
  type Term,
} from "../lease.ts";
import { EtcdClient, type EtcdEntry, type EtcdPlace } from "./etcd-client.ts";

/** Where the leases of a stack lie in etcd. */
export type EtcdLeasePlace = EtcdPlace & {
  /** For example `/lifeboat/production`. */
  readonly prefix: string;
  /** How long others wait for a holder that is gone. etcd makes it longer than some of its own election timeouts. */
  readonly ttlSeconds: number;
};

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** The leases of a prefix. */
export function etcdLeaseStore(place: EtcdLeasePlace): LeaseStore {
  const client = new EtcdClient(place);
  const keys = { holder: `${place.prefix}/holder`, epoch: `${place.prefix}/epoch` };
  return {
    name: client.name,
    durationMs: place.ttlSeconds * 1_000,
    claim: async (claim, options) => {
      const [holder, epoch] = await readBoth(client, keys, options);
      if (holder !== undefined) return { kind: "held", by: holdingOf(holder) };
      const lease = await client.grant(place.ttlSeconds, options);
      let granted = false;
      try {
        const answer = await swap(client, { keys, claim, seen: epoch, lease: lease.id }, options);
        granted = answer.kind === "granted";
        if (answer.kind === "held") return answer;
        const term = new EtcdTerm(client, {
          holderKey: keys.holder,
          lease: lease.id,
          durationMs: lease.ttlSeconds * 1_000,
        });
        return { kind: "granted", epoch: answer.epoch, term };
      } finally {
        // What hangs on it would keep others out for its time. Where etcd is away, that is what happens.
        if (!granted) await client.revoke(lease.id, {}).catch(() => undefined);
      }
    },
  };
}

type Keys = { readonly holder: string; readonly epoch: string };

async function readBoth(client: EtcdClient, keys: Keys, options: CallOptions) {
  const { entries } = await client.transact({ compare: [], put: [], read: [keys.holder, keys.epoch] }, options);
  return [entries[0], entries[1]] as const;
}

async function swap(
  client: EtcdClient,
  ask: { readonly keys: Keys; readonly claim: Claim; readonly seen: EtcdEntry | undefined; readonly lease: string },
  options: CallOptions,
): Promise<{ readonly kind: "granted"; readonly epoch: Epoch } | Extract<ClaimAnswer, { readonly kind: "held" }>> {
  const { keys, claim, seen, lease } = ask;
  const epoch = nextEpoch(claim.floor, seen === undefined ? NO_EPOCH : lastEpochOf(client.name, keys, seen));
  const holding: Holding = { holder: claim.holder, epoch };
  const { done, entries } = await client.transact(
    {
      compare: [
        { key: keys.holder, modRevision: "0" },
        { key: keys.epoch, modRevision: seen?.modRevision ?? "0" },
      ],
      put: [
        { key: keys.holder, value: JSON.stringify(holding), lease },
        { key: keys.epoch, value: String(epoch) },
      ],
      read: [keys.holder],
    },
    options,
  );
  const [holder] = entries;
  // Ours all the same: it was put by a first attempt whose answer was lost, and done again at another endpoint.
  if (done || holder?.lease === lease) return { kind: "granted", epoch };
  if (holder !== undefined) return { kind: "held", by: holdingOf(holder) };
  // Somebody came and went between the look and the swap.
  return { kind: "held", by: { holder: "somebody who has left again", epoch } };
}

class EtcdTerm implements Term {
  readonly durationMs: number;
  readonly #client: EtcdClient;
  readonly #holderKey: string;
  readonly #lease: string;

  constructor(
    client: EtcdClient,
    granted: { readonly holderKey: string; readonly lease: string; readonly durationMs: number },
  ) {
    this.#client = client;
    this.durationMs = granted.durationMs;
    this.#holderKey = granted.holderKey;
    this.#lease = granted.lease;
  }

  async renew(options: CallOptions): Promise<"renewed" | "lost"> {
    if (!(await this.#client.keepAlive(this.#lease, options))) return "lost";
    // The lease lives; the key may have been removed by hand, or etcd set back to a time before it.
    const ours = [{ key: this.#holderKey, lease: this.#lease }];
    const { done } = await this.#client.transact({ compare: ours, put: [], read: [] }, options);
    return done ? "renewed" : "lost";
  }

  async end(options: CallOptions): Promise<void> {
    await this.#client.revoke(this.#lease, options);
  }
}

/** Never a guess: an epoch that was granted already must not be granted again. */
function lastEpochOf(store: string, keys: Keys, { value }: EtcdEntry): Epoch {
  const epoch = epochOf(value);
  if (epoch !== NO_EPOCH) return epoch;
  throw new LifeboatError("lease.record-damaged", {
    message: `${keys.epoch} in ${store} should hold the last epoch and holds "${value.slice(0, 40)}"`,
    remedy: "Find the greatest epoch in the controllers' journals, put it there as a decimal number, and try again.",
  });
}

function epochOf(value: string): Epoch {
  const epoch = Number(value);
  return Number.isSafeInteger(epoch) && epoch > 0 ? (epoch as Epoch) : NO_EPOCH;
}

function holdingOf({ value }: EtcdEntry): Holding {
  try {
    const parsed: unknown = JSON.parse(value);
    if (typeof parsed === "object" && parsed !== null && "holder" in parsed && "epoch" in parsed) {
      return { holder: String(parsed.holder), epoch: epochOf(String(parsed.epoch)) };
    }
  } catch {
    // Not ours; whoever it is holds it.
  }
  return { holder: value, epoch: NO_EPOCH };
}
