/** Asks redis, in the few words of its protocol that we need. Source: "Redis serialization protocol specification". */
import { LifeboatError } from "../errors/error.ts";
import { exchange } from "../platform/exchange.ts";

/** A redis on this machine. */
export type CacheAddress = { readonly port: number; readonly password: string };

/** A local redis answers in well under a millisecond; one that loads its AOF says so at once. */
const ANSWER_TIMEOUT_MS = 2_000;

/**
 * Logs in and has redis answer PING. Rejects with `platform.no-answer` when it does not, and `cache.refused` with redis' own
 * words when it refuses (wrong password, or it still loads its data: then retryable).
 */
export async function pingCache(
  address: CacheAddress,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const answer = await exchange({
    to: { host: "127.0.0.1", port: address.port },
    send: command(["AUTH", address.password]) + command(["PING"]),
    whole: (text) => text.split("\r\n").length > 2,
    timeoutMs: ANSWER_TIMEOUT_MS,
    ...options,
  });
  const [login = "", ping = ""] = answer.split("\r\n");
  if (login === "+OK" && ping === "+PONG") return;
  const refusal = login.startsWith("+") ? ping : login;
  throw new LifeboatError("cache.refused", {
    message: `redis on port ${address.port} answers ${JSON.stringify(refusal)}`,
    remedy: "Look at its log; if the password is refused, another redis listens on this port.",
    retryable: refusal.startsWith("-LOADING"),
  });
}

function command(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}
