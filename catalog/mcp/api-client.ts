/** The REST API as the tools see it: one call with its limits, and failures an agent can read. */
import { abortedError } from "../../src/platform/clock.ts";
import type { RandomSource } from "../../src/platform/random.ts";
import { startTimer } from "../../src/platform/timer.ts";
import { PASSED_HEADER, passAddress } from "../keys/passed-address.ts";

/** Where the API is and with whose key it is read when the caller has none. */
export type ApiAddress = {
  readonly base: string;
  /** It also proves to the API what is said of callers' addresses. */
  readonly ownKey: string | undefined;
  readonly random: RandomSource;
};

/** Who asks, and how long they wait. */
export type CallOptions = {
  /** The caller's `Authorization` header; undefined when there is none. */
  readonly key: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** From which address they ask. */
  readonly address?: string | undefined;
};

/** Query values; what is undefined is left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** What the tools ask. All reject with ApiFailure. */
export interface ApiClient {
  get(path: string, query: Query, options: CallOptions): Promise<object>;
  /** A read with a body. */
  ask(path: string, body: object, options: CallOptions): Promise<object>;
  /** Changes something: with the caller's key only. */
  write(path: string, body: object, options: CallOptions): Promise<object>;
}

/** The API did not answer as hoped. */
export class ApiFailure extends Error {
  readonly code: string;
  readonly status: number;
  readonly retryAfterS: number | undefined;

  constructor(
    code: string,
    message: string,
    at: { readonly status: number; readonly retryAfterS?: number | undefined; readonly cause?: unknown },
  ) {
    super(message, at.cause === undefined ? undefined : { cause: at.cause });
    this.code = code;
    this.status = at.status;
    this.retryAfterS = at.retryAfterS;
  }

  /** Whether the request was wrong, not the service unwell. */
  get isRefusal(): boolean {
    return this.status >= 400 && this.status < 500;
  }

  /** One line for whoever asked. */
  get forAgents(): string {
    const again = this.retryAfterS === undefined ? "" : ` Try again in ${this.retryAfterS} s.`;
    return `${this.code}: ${this.message}${again}`;
  }
}

/** Longer than the API may take: for looking up a key, and for a write through a failover. */
export const CALL_TIMEOUT_MS = 25_000;
/** A page of a hundred products with descriptions is a tenth of it. */
const ANSWER_CHARACTERS_MAX = 8 * 1024 * 1024;

/** Calls the API over HTTP. */
export class HttpApi implements ApiClient {
  readonly #address: ApiAddress;
  /** Whether the last call reached an instance of the API, not only the balancer before it; undefined before the first one. */
  reached: boolean | undefined;

  constructor(address: ApiAddress) {
    this.#address = address;
  }

  async get(path: string, query: Query, options: CallOptions): Promise<object> {
    const given = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) given.set(name, String(value));
    const text = given.size === 0 ? path : `${path}?${given.toString()}`;
    return await this.#call("GET", text, undefined, { ...options, key: options.key ?? this.#ownAuthorization });
  }

  async ask(path: string, body: object, options: CallOptions): Promise<object> {
    return await this.#call("POST", path, body, { ...options, key: options.key ?? this.#ownAuthorization });
  }

  async write(path: string, body: object, options: CallOptions): Promise<object> {
    if (options.key === undefined) {
      throw new ApiFailure("MISSING_API_KEY", "this needs your own key: send it as Authorization: Bearer <key>", {
        status: 401,
      });
    }
    return await this.#call("POST", path, body, options);
  }

  get #ownAuthorization(): string | undefined {
    const { ownKey } = this.#address;
    return ownKey === undefined ? undefined : `Bearer ${ownKey}`;
  }

  /** Who has not our key is counted by the API as if they were us. */
  #passed(address: string | undefined): Readonly<Record<string, string>> {
    const { ownKey } = this.#address;
    if (ownKey === undefined || address === undefined || address === "") return {};
    return { [PASSED_HEADER]: passAddress(address, ownKey) };
  }

  async #call(method: string, path: string, body: object | undefined, options: CallOptions): Promise<object> {
    const { key, signal, address } = options;
    const late = new AbortController();
    const cancel = startTimer(CALL_TIMEOUT_MS, () => late.abort());
    try {
      const response = await fetch(this.#address.base + path, {
        method,
        headers: {
          accept: "application/json",
          ...(key === undefined ? {} : { authorization: key }),
          ...this.#passed(address),
          // With it the balancer may send a request again whose instance died, and it is done once.
          ...(body === undefined
            ? {}
            : { "content-type": "application/json", "idempotency-key": this.#address.random(16).toString("hex") }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
        redirect: "error",
      });
      const text = await response.text();
      // What a balancer says by itself, with no instance behind it, is short and no JSON.
      const isLong = text.length > ANSWER_CHARACTERS_MAX;
      const answer = isLong ? undefined : objectOf(text);
      this.reached = isLong || answer !== undefined;
      if (isLong) throw new ApiFailure("ANSWER_TOO_LARGE", "the answer is too large: ask for less", { status: 413 });
      if (response.ok && answer !== undefined) return answer;
      throw failureOf(response, answer);
    } catch (cause) {
      if (cause instanceof ApiFailure) throw cause;
      if (signal?.aborted === true) throw abortedError("asking the API", signal.reason);
      this.reached = false;
      const why = late.signal.aborted ? "the catalogue did not answer in time" : "the catalogue cannot be reached";
      throw new ApiFailure("SERVICE_UNAVAILABLE", why, { status: 503, retryAfterS: 2, cause });
    } finally {
      cancel();
    }
  }
}

function objectOf(text: string): object | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** `{error: {code, message}}` as the API writes it; a balancer that answers itself writes something else. */
function failureOf(response: Response, answer: object | undefined): ApiFailure {
  const error: unknown = answer !== undefined && "error" in answer ? answer.error : undefined;
  const said = typeof error === "object" && error !== null ? { ...error } : {};
  const text = (name: string, otherwise: string): string => {
    const value: unknown = Object.entries(said).find(([key]) => key === name)?.[1];
    return typeof value === "string" ? value : otherwise;
  };
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  return new ApiFailure(
    text("code", "SERVICE_UNAVAILABLE"),
    text("message", `the catalogue answered ${response.status}`),
    {
      status: response.status,
      retryAfterS: Number.isFinite(retryAfter) ? retryAfter : undefined,
    },
  );
}
