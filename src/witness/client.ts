/** Asks a witness over its socket. */
import { exchange } from "../platform/exchange.ts";
import { formatLsn } from "../postgres/lsn.ts";
import { type MandateTerms, positionJson, termsJson } from "../wal/mandate.ts";
import type { Grant } from "../wal/mandates.ts";
import {
  parseBytes,
  parseDigest,
  parseStatus,
  parseWithdrawal,
  questionLine,
  type WitnessQuestion,
} from "./protocol.ts";
import type { HeldStretch, Withdrawal, WitnessStatus } from "./witness.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined; readonly timeoutMs: number };

/** The witness behind a socket. Calls reject with `platform.no-answer` when it does not answer in time: then it is not known whether it acted. */
export class WitnessClient {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** How it stands. */
  async status(options: CallOptions): Promise<WitnessStatus> {
    return parseStatus(await this.#ask({ call: "status" }, options));
  }

  /** See `Witness.withdraw`. */
  async withdraw(epoch: number, options: CallOptions): Promise<Withdrawal> {
    return parseWithdrawal(await this.#ask({ call: "withdraw", epoch }, options));
  }

  /** See `Mandates.follow`. */
  async follow(terms: MandateTerms, options: CallOptions): Promise<WitnessStatus> {
    return parseStatus(await this.#ask({ call: "follow", ...termsJson(terms) }, options));
  }

  /** See `Mandates.grant`; the ticket is of an earlier status. */
  async grant(grant: Grant, options: CallOptions): Promise<WitnessStatus> {
    const { epoch, reign, duration, contiguousWith } = grant;
    const terms = { duration: duration ?? null, contiguousWith: positionJson(contiguousWith) };
    return parseStatus(await this.#ask({ call: "grant", epoch, reign, ...terms }, options));
  }

  /** At most READ_BYTES_MAX bytes. See `Witness.read`. */
  async read(epoch: number, stretch: HeldStretch, options: CallOptions): Promise<Buffer> {
    return parseBytes(await this.#ask({ call: "read", epoch, ...written(stretch) }, options));
  }

  /** See `Witness.digest`. */
  async digest(epoch: number, stretch: HeldStretch, options: CallOptions): Promise<string> {
    return parseDigest(await this.#ask({ call: "digest", epoch, ...written(stretch) }, options));
  }

  async #ask(question: WitnessQuestion, options: CallOptions): Promise<string> {
    const send = questionLine(question);
    return await exchange({ to: { socket: this.#socket }, send, whole: (answer) => answer.endsWith("\n"), ...options });
  }
}

function written({ timeline, from, to }: HeldStretch) {
  return { timeline, from: formatLsn(from), to: formatLsn(to) };
}
