/** PgBouncer's configuration. Pure. Source: PgBouncer, "config", of 1.18 to 1.25. */
import { POOLER_CONSOLE_ROLE } from "./console.ts";

/** What the pooler is to be. */
export type PgBouncerRequest = {
  readonly port: number;
  /** Folder of its Unix socket. */
  readonly socketFolder: string;
  /** Where its databases lead: databases-file.ts. */
  readonly databasesFile: string;
  readonly usersFile: string;
  /** Most connections to the server for a database and user; default 100. Several poolers share what the server takes. */
  readonly poolSize?: number;
};

const POOL_SIZE = 100;

/**
 * The text of pgbouncer.ini. How long clients wait and how soon a server counts as dead is tuned for a failover: nothing here
 * may give up before it is over, and nothing may hold on to a server that is gone.
 */
export function renderPgBouncer(request: PgBouncerRequest): string {
  return `;; Written by lifeboat; changes made here are lost.
[databases]
;; Rewritten when the primary changes: no command of PgBouncer sets a host.
%include ${request.databasesFile}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${request.port}
listen_backlog = 1024
;; Several poolers can share the port: the kernel hands each new connection to one of them.
so_reuseport = 1
unix_socket_dir = ${request.socketFolder}
auth_type = scram-sha-256
auth_file = ${request.usersFile}
admin_users = ${POOLER_CONSOLE_ROLE}
pool_mode = transaction
max_client_conn = 1000
default_pool_size = ${request.poolSize ?? POOL_SIZE}
;; Of what a client asks for at its login and no pooler keeps, only what changes no meaning is passed over; it is refused by name else.
ignore_startup_parameters = extra_float_digits

;; Above the longest failover: a client that waits for a server, or to be let in, waits for it to end.
query_wait_timeout = 120
client_login_timeout = 120
;; After a failed login nobody tries for so long, and clients are refused meanwhile. 15 by default: an outage of its own.
server_login_retry = 0.1
;; A login to a server that is frozen.
server_connect_timeout = 5
;; Logins only when clients need them: one in flight when the pooler is paused counts as failed.
min_pool_size = 0
;; Everything is on this machine.
server_tls_sslmode = disable

;; A peer that is gone without a word is known to be gone after about ten seconds, and not after a quarter of an hour.
tcp_keepalive = 1
tcp_keepidle = 5
tcp_keepintvl = 2
tcp_keepcnt = 3
tcp_user_timeout = 10000
`;
}

/**
 * The text of its list of users: what each proves itself by, best the SCRAM secret that the server has as well. Of a password it
 * computes 4096 rounds at each login of a client, and again at its own to the server: 7 ms in which it serves nobody else.
 */
export function renderPoolerUsers(users: Readonly<Record<string, string>>): string {
  return Object.entries(users)
    .map(([name, password]) => `"${name}" "${password}"\n`)
    .join("");
}
