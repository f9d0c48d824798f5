/** The pooler's files of a stack. Pure. */
import path from "node:path";
import type { StackSecrets } from "./secrets.ts";
import type { StackDescription } from "./stack.ts";

/** The pooler's administrator, who may pause and repoint it. */
export const POOLER_ADMIN = "lifeboat_pooler";

/** A file in the folder of the pooler's configuration. */
export type PoolerFile = { readonly name: string; readonly text: string };

/** The name of the main file. */
export const POOLER_CONFIG = "pgbouncer.ini";

/** All of them. */
export function renderPooler(stack: StackDescription, secrets: StackSecrets): readonly PoolerFile[] {
  const folder = stack.place.configOf("pgbouncer");
  const main = `;; Written by lifeboat; changes made here are lost.
[databases]
%include ${path.join(folder, "databases.ini")}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${stack.ports.pgbouncer}
unix_socket_dir = ${stack.place.sockets}
auth_type = scram-sha-256
auth_file = ${path.join(folder, "userlist.txt")}
admin_users = ${POOLER_ADMIN}
pool_mode = transaction
max_client_conn = 1000
default_pool_size = 100
server_login_retry = 0.5
query_wait_timeout = 120
ignore_startup_parameters = extra_float_digits,search_path
`;
  const databases = `${stack.database} = host=127.0.0.1 port=${stack.ports.db} dbname=${stack.database}\n`;
  const users = `"${stack.applicationRole}" "${secrets.application}"\n"${POOLER_ADMIN}" "${secrets["pooler-admin"]}"\n`;
  return [
    { name: POOLER_CONFIG, text: main },
    { name: "databases.ini", text: databases },
    { name: "userlist.txt", text: users },
  ];
}
