/**
 * Feeds that a merchant's server gives.
 *
 * A feed that the server says is unchanged is not fetched again. Redirects are followed a few times, and never from https
 * to http or to anything else, nor from the public internet into a private network, where only a source itself may lie; an address with a password in it is refused, since it would end up in logs.
 */
import { isLifeboatError, type LifeboatError } from "../../../src/errors/error.ts";
import { abortedError, type Clock, throwIfAborted } from "../../../src/platform/clock.ts";
import { errnoOf } from "../../../src/platform/errno.ts";
import { leadsToPrivate } from "../../../src/platform/public-address.ts";
import { startTimer } from "../../../src/platform/timer.ts";
import { feedError } from "./feed-error.ts";
import { expanded, type FetchedFeed, fitValidator, type Validators } from "./fetched.ts";

/** Where a feed of a server is, and what is known of it. */
export type HttpFeed = {
  readonly location: string;
  readonly known: Validators;
  readonly limits?: Partial<HttpLimits> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Whether a host is of a private network. Default: what its name leads to now. */
  readonly isPrivate?: ((host: string) => Promise<boolean>) | undefined;
};

/** How long and how much. */
export type HttpLimits = {
  /** Until the answer's head is there; of each request. */
  readonly headTimeoutMs: number;
  /** Between two pieces of the body. */
  readonly idleTimeoutMs: number;
  /** From the first request to the last byte. */
  readonly wholeTimeoutMs: number;
  readonly redirectsMax: number;
  /** After decompression. */
  readonly bytesMax: number;
};

/** The defaults: a feed of 2 GB at 4 MB/s takes nine minutes; a server that says nothing for 30 s will not. */
const LIMITS: HttpLimits = {
  headTimeoutMs: 30_000,
  idleTimeoutMs: 30_000,
  wholeTimeoutMs: 15 * 60_000,
  redirectsMax: 5,
  bytesMax: 2 * 1024 ** 3,
};

/** So that a merchant can tell whose requests these are. */
const USER_AGENT = "buywhere-feeds/1.0";

/** A server that asks for more is heeded up to here: a day later it is asked again. */
const RETRY_AFTER_MAX_MS = 24 * 60 * 60_000;

/**
 * Gets a feed over HTTP. Rejects with `feed.place-wrong`, `feed.not-found`, `feed.refused`, `feed.busy`, `feed.unreachable`,
 * `feed.too-slow`, `feed.redirected-wrongly`, `feed.too-large`, `platform.aborted`; reading on may, too.
 */
export async function fetchHttp(clock: Clock, feed: HttpFeed): Promise<FetchedFeed> {
  throwIfAborted(feed.signal, `reading ${feed.location}`);
  const limits = { ...LIMITS, ...feed.limits };
  const guard = new Guard(feed, limits);
  try {
    const response = await follow(feed, limits, guard);
    if (response.status === 304) {
      guard.end();
      return { kind: "unchanged" };
    }
    refuseStatus(response, feed.location, clock);
    if (Number(response.headers.get("content-length") ?? 0) > limits.bytesMax) {
      throw feedError("feed.too-large", `${feed.location} says that it has more than ${limits.bytesMax} bytes`);
    }
    const validators = {
      etag: fitValidator(response.headers.get("etag")),
      lastModified: fitValidator(response.headers.get("last-modified")),
    };
    return { kind: "changed", validators, chunks: expanded(body(response, guard, limits), limits) };
  } catch (cause) {
    guard.end();
    throw guard.explain(cause);
  }
}

async function follow(feed: HttpFeed, limits: HttpLimits, guard: Guard): Promise<Response> {
  let address = addressOf(feed.location);
  for (let redirects = 0; ; redirects += 1) {
    guard.wait(limits.headTimeoutMs);
    const response = await fetch(address, { headers: headersOf(feed.known), redirect: "manual", signal: guard.signal });
    const next = response.headers.get("location");
    if (![301, 302, 303, 307, 308].includes(response.status) || next === null) return response;
    await response.body?.cancel();
    if (redirects >= limits.redirectsMax) {
      throw feedError("feed.redirected-wrongly", `${feed.location} redirects more than ${limits.redirectsMax} times`);
    }
    const to = redirected(address, next);
    if (to.hostname !== address.hostname && (await isIntruding(feed, to))) {
      throw feedError("feed.redirected-wrongly", `${feed.location} redirects to ${to.hostname}, of a private network`);
    }
    address = to;
  }
}

function addressOf(location: string): URL {
  const address = URL.canParse(location) ? new URL(location) : undefined;
  if (address === undefined || !isFetched(address)) {
    throw feedError("feed.place-wrong", `${location} is no http or https address without a password in it`);
  }
  return address;
}

function redirected(from: URL, location: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  const lowered = to !== undefined && from.protocol === "https:" && to.protocol !== "https:";
  if (to === undefined || lowered || !isFetched(to)) {
    throw feedError("feed.redirected-wrongly", `${from.href} redirects to ${location.slice(0, 200)}`);
  }
  return to;
}

/** A merchant may not have us ask what only we can reach; a source of a private network may lead on within it. */
async function isIntruding({ location, isPrivate = leadsToPrivate }: HttpFeed, to: URL): Promise<boolean> {
  return (await isPrivate(to.hostname)) && !(await isPrivate(new URL(location).hostname));
}

function isFetched(address: URL): boolean {
  return ["http:", "https:"].includes(address.protocol) && address.username === "" && address.password === "";
}

function headersOf(known: Validators): Record<string, string> {
  return {
    "user-agent": USER_AGENT,
    accept: "*/*",
    ...(known.etag === undefined ? {} : { "if-none-match": known.etag }),
    ...(known.lastModified === undefined ? {} : { "if-modified-since": known.lastModified }),
  };
}

function refuseStatus(response: Response, location: string, clock: Clock): void {
  const { status } = response;
  if (status === 200) return;
  const said = `${location} answers ${status}`;
  if (status === 404 || status === 410) throw feedError("feed.not-found", said);
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    throw feedError("feed.busy", said, { retryAfterMs: retryAfter(response.headers.get("retry-after"), clock) });
  }
  throw feedError("feed.refused", said);
}

/** Seconds, or a moment. */
function retryAfter(text: string | null, clock: Clock): number | undefined {
  if (text === null) return undefined;
  const ms = /^\d+$/.test(text.trim()) ? Number(text) * 1000 : Date.parse(text) - clock.now();
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS) : undefined;
}

async function* body(response: Response, guard: Guard, limits: HttpLimits): AsyncGenerator<Uint8Array> {
  try {
    if (response.body === null) return;
    guard.wait(limits.idleTimeoutMs);
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      // The clock of the server stands still while we work on what it sent.
      guard.rest();
      yield chunk;
      guard.wait(limits.idleTimeoutMs);
    }
  } catch (cause) {
    throw guard.explain(cause);
  } finally {
    guard.end();
  }
}

/** Breaks a request off: when asked to, when the whole takes too long, when the next piece does. */
class Guard {
  readonly #location: string;
  readonly #outer: AbortSignal | undefined;
  readonly #stop = new AbortController();
  readonly #cancelWhole: () => void;
  #cancelWait = (): void => undefined;
  #slow: LifeboatError | undefined;

  constructor(feed: HttpFeed, limits: HttpLimits) {
    this.#location = feed.location;
    this.#outer = feed.signal;
    this.#outer?.addEventListener("abort", this.#onAbort, { once: true });
    this.#cancelWhole = startTimer(limits.wholeTimeoutMs, () => this.#expire(limits.wholeTimeoutMs, "it all"));
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Something must come within this time. */
  wait(timeoutMs: number): void {
    this.#cancelWait();
    this.#cancelWait = startTimer(timeoutMs, () => this.#expire(timeoutMs, "more"));
  }

  rest(): void {
    this.#cancelWait();
  }

  end(): void {
    this.#cancelWait();
    this.#cancelWhole();
    this.#outer?.removeEventListener("abort", this.#onAbort);
    this.#stop.abort();
  }

  /** The error for what made the request fail. */
  explain(cause: unknown): unknown {
    if (this.#outer?.aborted === true) return abortedError(`reading ${this.#location}`, this.#outer.reason);
    if (this.#slow !== undefined) return this.#slow;
    if (isLifeboatError(cause)) return cause;
    const source: unknown = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause;
    const inner = source instanceof Error ? source.message : String(source);
    if (errnoOf(source)?.startsWith("Z_") === true) {
      return feedError("feed.compression-broken", `${this.#location} cannot be decompressed: ${inner}`, { cause });
    }
    return feedError("feed.unreachable", `${this.#location} cannot be read: ${inner}`, { cause });
  }

  readonly #onAbort = (): void => this.#stop.abort();

  #expire(timeoutMs: number, what: string): void {
    this.#slow ??= feedError("feed.too-slow", `${this.#location} did not give ${what} within ${timeoutMs} ms`);
    this.#stop.abort();
  }
}
