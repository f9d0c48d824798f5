/**
 * One question to a program that listens, and its answer: for health checks and consoles, whose answers are small.
 */
import net from "node:net";
import { type ErrorFacts, LifeboatError } from "../errors/error.ts";
import { abortedError, throwIfAborted } from "./clock.ts";
import { startTimer } from "./timer.ts";

/** Where a program listens. */
export type Endpoint = { readonly host: string; readonly port: number } | { readonly socket: string };

/** What to say and when the answer is whole. */
export type Question = {
  readonly to: Endpoint;
  readonly send: string;
  /** True when what has come so far is the whole answer; the end of the connection always is. */
  readonly whole: (answer: string) => boolean;
  readonly timeoutMs: number;
  /** Default ANSWER_BYTES_MAX. */
  readonly answerBytesMax?: number | undefined;
  readonly signal?: AbortSignal | undefined;
};

/** 1 MiB: no console of ours prints more when it does what it should. */
const ANSWER_BYTES_MAX = 1024 * 1024;

/**
 * Asks and answers. Rejects with `platform.no-answer` when nobody listens (the cause is the system's error), or the answer is not
 * whole in time (its details have `timeoutMs`).
 */
export async function exchange(question: Question): Promise<string> {
  const { to, signal, timeoutMs, answerBytesMax: bytesMax = ANSWER_BYTES_MAX } = question;
  const name = "socket" in to ? to.socket : `${to.host}:${to.port}`;
  throwIfAborted(signal, `asking ${name}`);
  const connection = "socket" in to ? net.connect(to.socket) : net.connect(to.port, to.host);
  let stop = (): void => undefined;
  let cancel = (): void => undefined;
  try {
    return await new Promise<string>((resolve, reject) => {
      const fail = (why: string, { cause, details }: Pick<ErrorFacts, "cause" | "details"> = {}): void =>
        reject(
          new LifeboatError("platform.no-answer", {
            message: `no answer from ${name}: ${why}`,
            remedy: "Check that the program runs and listens there.",
            retryable: true,
            cause,
            ...(details === undefined ? {} : { details }),
          }),
        );
      stop = () => reject(abortedError(`asking ${name}`, signal?.reason));
      signal?.addEventListener("abort", stop, { once: true });
      cancel = startTimer(timeoutMs, () => fail(`nothing whole within ${timeoutMs} ms`, { details: { timeoutMs } }));
      let answer = "";
      connection.setEncoding("utf8");
      connection.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? error.message, { cause: error }));
      connection.on("data", (text: string) => {
        answer += text;
        if (answer.length > bytesMax) fail(`more than ${bytesMax} bytes`);
        else if (question.whole(answer)) resolve(answer);
      });
      connection.on("end", () => resolve(answer));
      connection.write(question.send);
    });
  } finally {
    cancel();
    signal?.removeEventListener("abort", stop);
    connection.destroy();
  }
}
