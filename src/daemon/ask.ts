/** Asks a running daemon. */
import net from "node:net";
import { createInterface } from "node:readline";
import { LifeboatError } from "../errors/error.ts";
import { abortedError, throwIfAborted } from "../platform/clock.ts";
import { startTimer } from "../platform/timer.ts";
import { type DaemonRequest, parseAnswerLine } from "./protocol.ts";

/** How a daemon is asked. */
export type AskOptions = {
  readonly signal?: AbortSignal | undefined;
  /** How long it may be silent: before its first line, and between two of them. Undefined: as long as it lives. */
  readonly silentMs: number | undefined;
  /** Told of every part of the answer as it comes. */
  readonly onPart?: (part: unknown) => void;
};

/**
 * Asks. Undefined: nobody listens there. Rejects with what the daemon failed with, with `daemon.no-answer` when it is silent or
 * ends in between, and with `platform.aborted`.
 */
export async function askDaemon(
  socket: string,
  request: DaemonRequest,
  options: AskOptions,
): Promise<{ readonly result: unknown } | undefined> {
  const { signal } = options;
  throwIfAborted(signal, "asking the daemon");
  const connection = net.connect(socket);
  let stop = (): void => undefined;
  let cancel = (): void => undefined;
  try {
    return await new Promise<{ readonly result: unknown } | undefined>((resolve, reject) => {
      stop = () => reject(abortedError("asking the daemon", signal?.reason));
      signal?.addEventListener("abort", stop, { once: true });
      const wait = (): void => {
        const { silentMs } = options;
        if (silentMs === undefined) return;
        cancel();
        cancel = startTimer(silentMs, () => reject(noAnswer(socket, `nothing for ${silentMs} ms`)));
      };
      wait();
      connection.on("error", (error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT" || error.code === "ECONNREFUSED") resolve(undefined);
        else reject(noAnswer(socket, error.code ?? error.message, error));
      });
      createInterface({ input: connection })
        // The connection's errors, told once more.
        .on("error", () => undefined)
        .on("line", (text) => {
          wait();
          try {
            const line = parseAnswerLine(text);
            if (line.kind === "part") options.onPart?.(line.value);
            else resolve({ result: line.value });
          } catch (error) {
            reject(error);
          }
        })
        .on("close", () => reject(noAnswer(socket, "it ended while it was asked")));
      connection.write(`${JSON.stringify(request)}\n`);
    });
  } finally {
    cancel();
    signal?.removeEventListener("abort", stop);
    connection.destroy();
  }
}

/** One that lives says so within milliseconds, whatever it is doing; on a machine that is short of everything, within this. */
const ALIVE_MS = 10_000;

/**
 * The same for what may take long: asks first whether the daemon lives, so that one that hangs is told at once and not when the
 * work could have been done.
 */
export async function askLivingDaemon(
  socket: string,
  request: DaemonRequest,
  options: AskOptions & { readonly aliveMs?: number },
): Promise<{ readonly result: unknown } | undefined> {
  const { signal, aliveMs = ALIVE_MS } = options;
  const alive = await askDaemon(socket, { call: "hello" }, { signal, silentMs: aliveMs });
  return alive === undefined ? undefined : await askDaemon(socket, request, options);
}

function noAnswer(socket: string, why: string, cause?: unknown): LifeboatError {
  return new LifeboatError("daemon.no-answer", {
    message: `the daemon at ${socket} does not answer: ${why}`,
    remedy: "See what it does: `lifeboat logs daemon`. `lifeboat restart daemon` starts it anew.",
    retryable: true,
    cause,
  });
}
