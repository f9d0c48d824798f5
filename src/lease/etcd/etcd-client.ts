/**
 * etcd through its JSON gateway: the few calls that a lease needs.
 *
 * Invariants: every call has a deadline; endpoints are tried in turn, and a call that may already have taken effect at one of
 * them is such that doing it again changes nothing (compare-and-swap, or a renewal). Keys and values are sent as base64,
 * whole numbers of 64 bits as text. Source: etcd documentation, "gRPC gateway", and its API reference.
 */
import { z } from "zod";
import { errorText } from "../../errors/error-text.ts";
import { abortedError } from "../../platform/clock.ts";
import { startTimer } from "../../platform/timer.ts";
import { storeFailed } from "../lease.ts";

/** Where etcd is reached, and how long one endpoint may take to answer. */
export type EtcdPlace = {
  /** For example `http://127.0.0.1:2379`; at least one. */
  readonly endpoints: readonly string[];
  readonly timeoutMs: number;
  /** How requests are sent; tests cut it. */
  readonly fetch: typeof fetch;
};

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** A key as etcd has it. `lease` is "0" for one that stays. */
export type EtcdEntry = { readonly value: string; readonly modRevision: string; readonly lease: string };

/** What must hold of a key for a transaction to take effect. */
export type EtcdCompare =
  /** "0": it is not there. */
  { readonly key: string; readonly modRevision: string } | { readonly key: string; readonly lease: string };

/** What a transaction puts. */
export type EtcdPut = { readonly key: string; readonly value: string; readonly lease?: string | undefined };

const number64 = z
  .union([z.string(), z.number()])
  .transform(String)
  .pipe(z.string().regex(/^-?\d{1,20}$/));

const entriesSchema = z.object({
  kvs: z
    .array(z.object({ value: z.string().default(""), mod_revision: number64, lease: number64.default("0") }))
    .default([]),
});

const txnSchema = z.object({
  succeeded: z.boolean().default(false),
  responses: z.array(z.object({ response_range: entriesSchema.optional() })).default([]),
});

/** A lease of no time, or of one that is no number, would be held for ever or never. */
const grantSchema = z.object({ ID: number64, TTL: number64.refine((seconds) => Number(seconds) > 0) });

/** A lease that is over has no time to live, and the gateway leaves zeros out. */
const keepAliveSchema = z.object({ result: z.object({ TTL: number64.default("0") }) });

const errorSchema = z.object({
  code: z.number().optional(),
  message: z.string().optional(),
  error: z.string().optional(),
});

/** Source: gRPC, "Status codes": NOT_FOUND. */
const NOT_FOUND = 5;

/** A client. Its calls reject with `lease.store-failed` when no endpoint gave an answer that can be used. */
export class EtcdClient {
  readonly name: string;
  readonly #place: EtcdPlace;

  constructor(place: EtcdPlace) {
    this.#place = place;
    this.name = `etcd at ${place.endpoints.join(", ")}`;
  }

  /** Grants a lease of about so many seconds; etcd may make it longer. */
  async grant(ttlSeconds: number, options: CallOptions): Promise<{ readonly id: string; readonly ttlSeconds: number }> {
    const answer = await this.#call("/v3/lease/grant", { TTL: ttlSeconds }, options);
    const { ID, TTL } = this.#read(grantSchema, answer);
    return { id: ID, ttlSeconds: Number(TTL) };
  }

  /** Begins the lease's time anew. False: it is over. */
  async keepAlive(lease: string, options: CallOptions): Promise<boolean> {
    const answer = await this.#call("/v3/lease/keepalive", { ID: lease }, options);
    if (answer === undefined) return false;
    return Number(this.#read(keepAliveSchema, answer).result.TTL) > 0;
  }

  /** Ends a lease, and every key that hangs on it is gone. One that is over is no error. */
  async revoke(lease: string, options: CallOptions): Promise<void> {
    await this.#call("/v3/lease/revoke", { ID: lease }, options);
  }

  /** Puts all when everything compared holds. In either case it answers what is there then of the keys in `read`. */
  async transact(
    transaction: {
      readonly compare: readonly EtcdCompare[];
      readonly put: readonly EtcdPut[];
      readonly read: readonly string[];
    },
    options: CallOptions,
  ): Promise<{ readonly done: boolean; readonly entries: readonly (EtcdEntry | undefined)[] }> {
    const reads = transaction.read.map((key) => ({ request_range: { key: base64(key) } }));
    const puts = transaction.put.map(({ key, value, lease }) => ({
      request_put: { key: base64(key), value: base64(value), ...(lease === undefined ? {} : { lease }) },
    }));
    const body = { compare: transaction.compare.map(compareOf), success: [...puts, ...reads], failure: reads };
    const { succeeded, responses } = this.#read(txnSchema, await this.#call("/v3/kv/txn", body, options));
    const entries = (succeeded ? responses.slice(puts.length) : responses).map(({ response_range: range }) => {
      const [found] = range?.kvs ?? [];
      if (found === undefined) return undefined;
      const { value, mod_revision: modRevision, lease } = found;
      return { value: Buffer.from(value, "base64").toString("utf8"), modRevision, lease };
    });
    return { done: succeeded, entries };
  }

  #read<T>(schema: z.ZodType<T>, answer: unknown): T {
    const parsed = schema.safeParse(answer);
    if (!parsed.success) throw storeFailed(this.name, `answered what cannot be read: ${parsed.error.message}`);
    return parsed.data;
  }

  /** The answer; undefined where etcd says that there is no such thing. */
  async #call(path: string, body: unknown, { signal }: CallOptions): Promise<unknown> {
    const failures: string[] = [];
    for (const endpoint of this.#place.endpoints) {
      if (signal?.aborted === true) throw abortedError("asking the lease store", signal.reason);
      const ending = new AbortController();
      const abort = (): void => ending.abort();
      signal?.addEventListener("abort", abort, { once: true });
      const cancel = startTimer(this.#place.timeoutMs, abort);
      try {
        const answer = await this.#post(`${endpoint}${path}`, body, ending.signal);
        if (answer.ok) return answer.body;
        const failure = errorSchema.safeParse(answer.body).data;
        if (failure?.code === NOT_FOUND) return undefined;
        failures.push(`${endpoint}: ${failure?.message ?? failure?.error ?? "an answer that cannot be read"}`);
      } catch (error) {
        failures.push(
          `${endpoint}: ${ending.signal.aborted ? `no answer in ${this.#place.timeoutMs} ms` : reasonOf(error)}`,
        );
      } finally {
        cancel();
        signal?.removeEventListener("abort", abort);
      }
    }
    if (signal?.aborted === true) throw abortedError("asking the lease store", signal.reason);
    throw storeFailed(this.name, `gave no answer (${failures.join("; ")})`);
  }

  async #post(
    url: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<{ readonly ok: boolean; readonly body: unknown }> {
    const response = await this.#place.fetch(url, { method: "POST", body: JSON.stringify(body), signal });
    return { ok: response.ok, body: JSON.parse(await response.text()) };
  }
}

function compareOf(compare: EtcdCompare): unknown {
  const key = base64(compare.key);
  if ("lease" in compare) return { key, target: "LEASE", result: "EQUAL", lease: compare.lease };
  return { key, target: "MOD", result: "EQUAL", mod_revision: compare.modRevision };
}

function base64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  if (cause instanceof Error && "code" in cause && typeof cause.code === "string") return cause.code;
  return errorText(cause);
}
