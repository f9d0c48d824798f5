/** Asks the balancer: its own page, and its console. Source: HAProxy management guide, "Unix Socket commands", "CSV format". */
import { LifeboatError } from "../errors/error.ts";
import { exchange } from "../platform/exchange.ts";
import { BALANCER_HEALTH_PATH } from "./haproxy.ts";

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
  const answer = await ask(statsSocket, "show stat -1 4 -1", options);
  const [head = "", ...rows] = answer.trim().split("\n");
  const columns = head.replace(/^# /, "").split(",");
  const at = (row: string, column: string): string => row.split(",")[columns.indexOf(column)] ?? "";
  if (!columns.includes("svname")) throw refused(`the console ${statsSocket} answers ${JSON.stringify(head)}`);
  return rows.map((row) => ({
    backend: at(row, "pxname"),
    server: at(row, "svname"),
    status: at(row, "status"),
    sessions: Number(at(row, "scur")),
  }));
}

/**
 * Has HAProxy's parent process read its configuration again: a new worker takes the listening sockets over, the old one
 * finishes its requests. A configuration that is not accepted leaves the old worker and rejects with `balancer.refused`.
 */
export async function reloadBalancer(controlSocket: string, options: CallOptions): Promise<void> {
  // HAProxy 2.6 closes the connection as soon as it begins; what became of it shows in the list of processes.
  await ask(controlSocket, "reload", options);
  const processes = await ask(controlSocket, "show proc", options);
  if (/^\d+\s+worker\s/m.test(processes) && !/^# *.*failed/im.test(processes)) return;
  throw refused(`the parent process behind ${controlSocket} has no worker after a reload`);
}

async function ask(socket: string, command: string, options: CallOptions): Promise<string> {
  return await exchange({
    to: { socket },
    send: `${command}\n`,
    whole: () => false,
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
