/** The stack's daemon, as the stack sees it: its configuration, where it is asked, and whether it answers. */
import { createHash } from "node:crypto";
import path from "node:path";
import { isLifeboatError } from "../errors/error.ts";
import { exchange } from "../platform/exchange.ts";
import { SOCKET_PATH_BYTES_MAX } from "../postgres/server.ts";
import type { StackDescription } from "./stack.ts";
import type { CallOptions } from "./tools.ts";

/** One that runs answers in milliseconds, also while it acts. */
const ANSWER_TIMEOUT_MS = 5_000;

/** Its configuration. In the controller's folder: it says what is run as whoever started the stack. */
export function daemonConfigFile({ place }: StackDescription): string {
  return path.join(place.controller, "lifeboat.yaml");
}

/** Where it is asked: in the controller's folder, or beside it all where that path is too long for a socket. */
export function daemonSocketOf({ place }: StackDescription): string {
  const inside = path.join(place.controller, "daemon.sock");
  if (Buffer.byteLength(inside) <= SOCKET_PATH_BYTES_MAX) return inside;
  const short = createHash("sha256").update(place.controller).digest("hex").slice(0, 12);
  return path.join("/tmp", `lifeboat-daemon-${short}`, "daemon.sock");
}

/** Where the one that stands by is asked who it is; it does nothing else. */
export function standBySocketOf(stack: StackDescription): string {
  return path.join(path.dirname(daemonSocketOf(stack)), "stand-by.sock");
}

/** True when it answers. */
export async function daemonAnswers(stack: StackDescription, options: CallOptions): Promise<boolean> {
  return (await processAt(daemonSocketOf(stack), options)) !== undefined;
}

/** What the process of a daemon does: undefined when it neither controls the stack nor stands by. */
export async function dutyOf(
  stack: StackDescription,
  pid: number | undefined,
  options: CallOptions,
): Promise<DaemonDuty | undefined> {
  const sockets = [daemonSocketOf(stack), standBySocketOf(stack)];
  const [controller, waiting] = await Promise.all(sockets.map((socket) => processAt(socket, options)));
  if (pid === undefined) return undefined;
  return pid === controller ? "controls" : pid === waiting ? "stands by" : undefined;
}

/** Of two daemons one controls the stack. */
export type DaemonDuty = "controls" | "stands by";

/** The process that answers; undefined when none does. */
async function processAt(socket: string, { signal }: CallOptions): Promise<number | undefined> {
  try {
    const answer = await exchange({
      to: { socket },
      send: '{"call":"hello"}\n',
      whole: (text) => text.endsWith("\n"),
      timeoutMs: ANSWER_TIMEOUT_MS,
      signal,
    });
    const pid = /"result":\{"pid":(\d+)\}/.exec(answer)?.[1];
    return pid === undefined ? undefined : Number(pid);
  } catch (error) {
    if (isLifeboatError(error, "platform.no-answer")) return undefined;
    throw error;
  }
}
