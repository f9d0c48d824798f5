/** The pooler's files of a stack. Pure. */
import path from "node:path";
import { POOLER_CONSOLE_ROLE } from "../pooler/console.ts";
import { formatDatabases, parseDatabases } from "../pooler/databases-file.ts";
import { renderPgBouncer, renderPoolerUsers } from "../pooler/pgbouncer-ini.ts";
import { instancesOf, poolerSocketFolder } from "./instances.ts";
import { nodePort } from "./node-settings.ts";
import { scramSecretOf } from "./scram-secrets.ts";
import type { StackSecrets } from "./secrets.ts";
import type { StackDescription } from "./stack.ts";

/** A file in the folder of the pooler's configuration. */
export type PoolerFile = {
  readonly name: string;
  readonly text: string;
  /** True: what is there is as described, whatever it says, once a controller has acted on it. */
  readonly isKept?: (there: string) => boolean;
};

/** The name of a pooler's main file. */
export function poolerConfigOf(instance: string): string {
  return `${instance}.ini`;
}

/** Connections to the server, for all poolers together. */
const POOL_SIZE = 100;

/** Where the pooler leads: to the primary as it is known when the file is made, and where the controller says once it has acted. */
export function databasesFileOf({ place }: StackDescription): string {
  return path.join(place.configOf("pgbouncer"), "databases.ini");
}

/** Whom the poolers let in. */
export function usersFileOf({ place }: StackDescription): string {
  return path.join(place.configOf("pgbouncer"), "userlist.txt");
}

/** All of them. */
export function renderPooler(stack: StackDescription, secrets: StackSecrets): readonly PoolerFile[] {
  const databasesFile = databasesFileOf(stack);
  const usersFile = usersFileOf(stack);
  const server = { host: "127.0.0.1", port: nodePort(stack, stack.primary) };
  const databases = [{ name: stack.database, database: stack.database, server }];
  return [
    ...instancesOf(stack, "pgbouncer").map((instance) => ({
      name: poolerConfigOf(instance),
      text: renderPgBouncer({
        port: stack.ports.pgbouncer,
        socketFolder: poolerSocketFolder(stack, instance),
        databasesFile,
        usersFile,
        poolSize: Math.floor(POOL_SIZE / stack.poolers),
      }),
    })),
    {
      name: path.basename(databasesFile),
      text: formatDatabases({ epoch: 0, databases }),
      isKept: (there) => (parseDatabases(there)?.epoch ?? 0) > 0,
    },
    {
      name: path.basename(usersFile),
      text: renderPoolerUsers({
        [stack.applicationRole]: scramSecretOf(secrets, { role: stack.applicationRole, password: "application" }),
        [POOLER_CONSOLE_ROLE]: scramSecretOf(secrets, { role: POOLER_CONSOLE_ROLE, password: "pooler-admin" }),
      }),
    },
  ];
}
