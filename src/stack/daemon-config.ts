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

/** True when it answers. */
export async function daemonAnswers(stack: StackDescription, { signal }: CallOptions): Promise<boolean> {
  try {
    const answer = await exchange({
      to: { socket: daemonSocketOf(stack) },
      send: '{"call":"hello"}\n',
      whole: (text) => text.endsWith("\n"),
      timeoutMs: ANSWER_TIMEOUT_MS,
      signal,
    });
    return answer.includes('"result"');
  } catch (error) {
    if (isLifeboatError(error, "platform.no-answer")) return false;
    throw error;
  }
}
