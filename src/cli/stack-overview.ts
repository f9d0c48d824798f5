/** Where a stack lies and where its components listen, as every verb about it says. */
import type { StackDescription, StackPorts } from "../stack/stack.ts";
import type { Cell } from "./table.ts";

/** What somebody needs to use a stack. */
export type StackOverview = {
  readonly name: string;
  readonly folder: string;
  readonly ports: StackPorts;
  /** Whether the service is one of its parts. */
  readonly service: boolean;
  readonly database: string;
  readonly applicationRole: string;
  /** File that holds the password of the application's role. */
  readonly passwordFile: string;
  /** For `--config` of other commands about the stack. */
  readonly configFile: string;
  /** What a person types to start this program. */
  readonly command: string;
  /** Instances of the API behind the front. */
  readonly apiCount: number;
};

/** The overview of a stack. */
export function overviewOf(
  stack: StackDescription,
  files: Pick<StackOverview, "passwordFile" | "configFile" | "command">,
): StackOverview {
  const { name, place, ports, database, applicationRole, service, apis, api } = stack;
  const apiCount = (service ? apis : 0) + api.length;
  return { name, folder: place.folder, ports, service, database, applicationRole, apiCount, ...files };
}

/** Where to connect, for people. */
export function connectRows(overview: StackOverview): readonly (readonly [string, Cell])[] {
  const { ports, database, applicationRole, apiCount } = overview;
  const url = (port: number): string => `postgresql://${applicationRole}@127.0.0.1:${port}/${database}`;
  const instances = apiCount === 0 ? "no instance of an API: answers 503" : `leads to ${apiCount} of the API`;
  return [
    ["application", `${url(ports.pgbouncer)}  PgBouncer`],
    ["reads", `${url(ports.reads)}  the replica, else the primary`],
    ["front", `http://127.0.0.1:${ports.front}  ${instances}`],
    ...(overview.service ? [["agents", `http://127.0.0.1:${ports.mcp}/mcp  the MCP service`] as const] : []),
    ["servers", `127.0.0.1:${ports.db} db, 127.0.0.1:${ports.dbReplica} db_replica`],
    ["redis", `127.0.0.1:${ports.redis}`],
    ["password", `in ${overview.passwordFile}`],
    ["other commands", `${overview.command} --config ${overview.configFile} status`],
  ];
}
