/** Asks the balancer: its own page, and its console. Source: HAProxy management guide, "Unix Socket commands", "CSV format". */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Clock } from "../platform/clock.ts";
import { exchange } from "../platform/exchange.ts";
import { BALANCER_HEALTH_PATH, UNCHECKED } from "./haproxy.ts";

/** What the balancer thinks of a server behind it. */
export type BalancedState = {
  readonly backend: string;
  readonly server: string;
  /** As HAProxy says it, for example `UP`, `DOWN`, `MAINT`, `UP 1/2`. */
  readonly status: string;
  /** Sessions it has now. */
  readonly sessions: number;
};

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** HAProxy answers from memory. */
const ANSWER_TIMEOUT_MS = 2_000;
/** Of an answer that cannot be read: as much as a message has room for. */
const ANSWER_SHOWN = 200;

/** Resolves when the front answers its own page with 200. Rejects with `platform.no-answer` or `balancer.refused`. */
export async function askBalancerHealth(port: number, options: CallOptions): Promise<void> {
  const answer = await exchange({
    to: { host: "127.0.0.1", port },
    send: `GET ${BALANCER_HEALTH_PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    whole: () => false,
    timeoutMs: ANSWER_TIMEOUT_MS,
    ...options,
  });
  const [status = ""] = answer.split("\r\n");
  if (/^HTTP\/1\.[01] 200 /.test(status)) return;
  throw refused(`the front on port ${port} answers ${JSON.stringify(status)} for ${BALANCER_HEALTH_PATH}`);
}

/** The servers behind the balancer. Rejects with `platform.no-answer` or `balancer.refused`. */
export async function readBalancer(statsSocket: string, options: CallOptions): Promise<readonly BalancedState[]> {
  return parseStats(await ask(statsSocket, "show stat -1 4 -1", options), statsSocket);
}

/** Reads the servers from the console's answer. Throws `balancer.refused` for one that is not whole, or none. */
export function parseStats(answer: string, socket: string): readonly BalancedState[] {
  const [head = "", ...rows] = answer.trim().split("\n");
  const columns = head.replace(/^# /, "").split(",");
  const unreadable = (line: string): LifeboatError =>
    refused(`the console ${socket} answers ${JSON.stringify(line.slice(0, ANSWER_SHOWN))}`);
  const at = (row: string, column: string): string => {
    const value = row.split(",")[columns.indexOf(column)];
    if (value === undefined) throw unreadable(row);
    return value;
  };
  if (!columns.includes("svname")) throw unreadable(head);
  const servers: BalancedState[] = [];
  for (const row of rows) {
    const [backend, server, status] = [at(row, "pxname"), at(row, "svname"), at(row, "status")];
    if (server.endsWith(UNCHECKED)) continue;
    const sessions = at(row, "scur");
    if (!/^\d{1,9}$/.test(sessions)) throw unreadable(row);
    servers.push({ backend, server, status, sessions: Number(sessions) });
  }
  return servers;
}

/**
 * Has HAProxy's parent process read its configuration again: a new worker takes the listening sockets over, the old one
 * finishes its requests. A configuration that is not accepted leaves the old worker and rejects with `balancer.refused`.
 */
export async function reloadBalancer(
  controlSocket: string,
  { clock, signal }: CallOptions & { readonly clock: Clock },
): Promise<void> {
  const before = await readReloads(controlSocket, { signal });
  // It closes the connection and begins; while it replaces itself nobody answers.
  await ask(controlSocket, "reload", { signal });
  const deadline = clock.monotonic() + RELOAD_TIMEOUT_MS;
  for (;;) {
    try {
      const now = await readReloads(controlSocket, { signal });
      if (now.failedCount > before.failedCount) {
        throw refused(`the parent process behind ${controlSocket} did not accept its configuration`);
      }
      if (now.reloadCount > before.reloadCount) return;
    } catch (error) {
      if (!isLifeboatError(error, "platform.no-answer") || clock.monotonic() > deadline) throw error;
    }
    if (clock.monotonic() > deadline) throw refused(`the parent process behind ${controlSocket} does not reload`);
    await clock.sleep(LOOK_INTERVAL_MS, { signal });
  }
}

/** A reload takes a tenth of a second. */
const RELOAD_TIMEOUT_MS = 5_000;
const LOOK_INTERVAL_MS = 25;

/** How often the parent process has reloaded, and how often it could not, by its line in the list of processes. */
async function readReloads(
  controlSocket: string,
  options: CallOptions,
): Promise<{ readonly reloadCount: number; readonly failedCount: number }> {
  return parseReloads(await ask(controlSocket, "show proc", options), controlSocket);
}

/** Reads it from the console's answer. Throws `balancer.refused` for one that says nothing of it. */
export function parseReloads(
  processes: string,
  controlSocket: string,
): { readonly reloadCount: number; readonly failedCount: number } {
  const match = /^\d+\s+\w+\s+(\d+) \[failed: (\d+)\]/m.exec(processes);
  if (match !== null) return { reloadCount: Number(match[1]), failedCount: Number(match[2]) };
  throw refused(
    `the parent process behind ${controlSocket} answers ${JSON.stringify(processes.slice(0, ANSWER_SHOWN))}`,
  );
}

async function ask(socket: string, command: string, options: CallOptions): Promise<string> {
  return await exchange({
    to: { socket },
    send: `${command}\n`,
    // An answer ends with an empty line; of the two consoles one closes the connection behind it.
    whole: (text) => text.endsWith("\n\n"),
    timeoutMs: ANSWER_TIMEOUT_MS,
    ...options,
  });
}

function refused(message: string): LifeboatError {
  return new LifeboatError("balancer.refused", {
    message,
    remedy: "Look at the balancer's log; `lifeboat config render haproxy` shows its configuration.",
  });
}
