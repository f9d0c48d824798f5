/**
 * A stack on this machine: what belongs to it, where it lies, and how its components are connected.
 *
 * Nouns: a *component* is one program of the stack, known by its name; a *node* is a component that is a PostgreSQL server;
 * a *confirmer* is what a commit can wait for: the replica, or the receiver; the *front* is the balancer's port for
 * clients, the *read port* the one that leads to a server one may read from.
 * Invariants: a description is made from the configuration alone and says everything; each program's configuration, the
 * start-up plan and what `config render` prints follow from it. All of a stack lies in one folder, but for its sockets
 * where the path of that folder is too long for them. Everything listens on 127.0.0.1 only. Programs run as an
 * unprivileged user, to whom the folder's content belongs.
 *
 * ```
 *  clients ── haproxy ──┬── api, api_2, api_3            (front)
 *                       └── db_replica, else db          (read port)
 *  agents ─── mcp ── haproxy
 *             scraper-scheduler ── pgbouncer, and haproxy whose API's cache it warms
 *  clients ── pgbouncer ── db ══ WAL ══▶ db_replica, receiver ──▶ vault
 *             pooler_watch, which resumes pgbouncer when whoever paused it is gone
 *             redis
 * ```
 */
import { createHash } from "node:crypto";
import path from "node:path";
import type { Confirmers, DurabilityMode } from "../durability/names.ts";
import type { Major } from "../postgres/installation.ts";
import { SOCKET_PATH_BYTES_MAX } from "../postgres/server.ts";
import type { ByteSize } from "../units/byte-size.ts";
import { COMPONENT_NAMES, type ComponentName } from "./component-names.ts";

/** What somebody can connect to, in the order in which a person thinks of it. */
export const PORT_NAMES = ["front", "mcp", "pgbouncer", "db", "dbReplica", "reads", "redis"] as const;

/** The name of a port. */
export type PortName = (typeof PORT_NAMES)[number];

/** The TCP ports of a stack on 127.0.0.1. */
export type StackPorts = Readonly<Record<PortName, number>>;

/** The component that listens on each port. */
export const LISTENER: Readonly<Record<PortName, ComponentName>> = {
  front: "haproxy",
  mcp: "mcp",
  pgbouncer: "pgbouncer",
  db: "db",
  dbReplica: "db_replica",
  reads: "haproxy",
  redis: "redis",
};

/** Where something else listens. */
export type Address = { readonly host: string; readonly port: number };

/** What can be chosen of a stack. */
export type StackChoice = {
  readonly name: string;
  /** The folder of all stacks; this one lies in a folder of its name below it. */
  readonly stacksFolder: string;
  readonly ports: StackPorts;
  readonly major: Major;
  /** Folder of PostgreSQL's programs; undefined, or of another major: those that came with Lifeboat, else the system's. */
  readonly binDir: string | undefined;
  readonly database: string;
  /** Role of the application. */
  readonly applicationRole: string;
  readonly durability: DurabilityMode;
  /** How many PgBouncers there are. */
  readonly poolers: number;
  /** Of Lifeboat, and of the service that comes with it: what an older one started is restarted by the next start-up. */
  readonly release: string;
  /** Whether the service is among its components: the catalogue's API, and what belongs to it. */
  readonly service: boolean;
  /** What the scraper-scheduler reads beside the sources that are in the database: eight made-up merchants, or nothing. */
  readonly feeds: "made-up" | "none";
  /** How many instances of the API there are. */
  readonly apis: number;
  /** Further instances that the front leads to, which others run. */
  readonly api: readonly Address[];
  /** Networks of proxies before the front and the MCP service. */
  readonly trustedProxies: readonly string[];
  /** Whether webhooks may lead to this machine and to private networks. */
  readonly privateWebhooks: boolean;
  readonly maxConnections: number;
  readonly sharedBuffers: ByteSize;
  /** WAL that a slot may keep on the primary for a confirmer that is away. */
  readonly slotWalMax: ByteSize;
  readonly cacheMemoryMax: ByteSize;
  readonly cachePolicy: CachePolicy;
  /** Whether the daemon is one of its components. */
  readonly daemon: boolean;
  /** The daemon's configuration: a lifeboat.yaml with the sections that it uses, as they were resolved. No secrets. */
  readonly daemonConfig: string;
};

/** What redis does when its memory is full. Source: redis.conf, "MEMORY MANAGEMENT". */
export const CACHE_POLICIES = ["allkeys-lru", "allkeys-lfu", "volatile-lru", "volatile-ttl", "noeviction"] as const;

/** One of them. */
export type CachePolicy = (typeof CACHE_POLICIES)[number];

/** The paths of a stack; all absolute. */
export type StackPlace = {
  readonly folder: string;
  /** Sockets of the programs; outside the folder when its path is too long for one. */
  readonly sockets: string;
  /** Of the supervisor that runs the programs; only who started the stack may enter it. */
  readonly supervisor: string;
  readonly logs: string;
  /** Of the controller; only who started the stack may enter it. */
  readonly controller: string;
  readonly secrets: string;
  readonly vault: string;
  readonly spool: string;
  /** Compiled code of the receiver's program, so that it starts sooner. */
  readonly programCache: string;
  readonly portsFile: string;
  readonly scaleFile: string;
  /** There while the vault's recovery key may not have been shown. */
  readonly recoveryKeyMark: string;
  /** Marks of configuration that whoever runs with it may not have read (unread.ts). */
  readonly unread: string;
  /** Where feeds of merchants are put that the scraper-scheduler shall read. */
  readonly feeds: string;
  /** Which durability was chosen; not there while none was. */
  readonly durabilityFile: string;
  readonly dataOf: (component: ComponentName) => string;
  readonly configOf: (component: ComponentName) => string;
};

/** A stack, described. */
export type StackDescription = Omit<StackChoice, "stacksFolder"> & {
  readonly place: StackPlace;
  /** Which node is the primary: db, until a controller has recorded otherwise (roles.ts). */
  readonly primary: "db" | "db_replica";
  /** Whether a controller has recorded who is what; `unsettled`: a failover or switchover has not ended. */
  readonly recorded: "none" | "settled" | "unsettled";
  /** Whether it recorded that a person paused failover. */
  readonly failoverPaused?: boolean;
};

/** The roles of the database that every stack has beside the application's. */
export const ROLES = {
  /** Only over the Unix socket. */
  superuser: "postgres",
  /** The replica's. */
  replication: "replicator",
  /** The receiver's and the backups'. */
  lifeboat: "lifeboat",
  /** The balancer's health check gives this name, and goes as soon as it is asked for a password; there is no such role. */
  check: "lifeboat_check",
} as const;

/** A confirmer's name: of its connection, as synchronous_standby_names lists it, and of its slot on the primary. */
export const CONFIRMERS = { replica: "db_replica", receiver: "lifeboat_vault" } as const;

/** A description of what was chosen. */
export function describeStack({ stacksFolder, ...chosen }: StackChoice): StackDescription {
  return { ...chosen, primary: "db", recorded: "none", place: placeOf(path.join(stacksFolder, chosen.name)) };
}

/** Who can confirm the commits of a primary: the other node, by its component's name, and the receiver, by its name now. */
export function confirmersOf(primary: "db" | "db_replica", receiver: string): Confirmers {
  return { nodes: [primary === "db" ? "db_replica" : "db"], receiver };
}

/** The components of a stack, in the order in which they start. */
export function componentsOf({
  daemon,
  service,
}: Pick<StackDescription, "daemon" | "service">): readonly ComponentName[] {
  return COMPONENT_NAMES.filter((name) => (daemon || name !== "daemon") && (service || !SERVICE_COMPONENTS.has(name)));
}

/** The components of the service. */
export const SERVICE_COMPONENTS: ReadonlySet<ComponentName> = new Set<ComponentName>([
  "api",
  "mcp",
  "scraper-scheduler",
]);

/** The node that is not the primary. */
export function replicaOf({ primary }: Pick<StackDescription, "primary">): "db" | "db_replica" {
  return primary === "db" ? "db_replica" : "db";
}

/** The longest name of a socket in the folder. */
const LONGEST_SOCKET = "pgbouncer_16/.s.PGSQL.65535.lock";

/** Where a stack's controller keeps what it records, in the folder of the stack. */
export function controllerIn(folder: string): string {
  return path.join(folder, "controller");
}

function placeOf(folder: string): StackPlace {
  const inside = (...names: readonly string[]): string => path.join(folder, ...names);
  const fits = Buffer.byteLength(inside("run", LONGEST_SOCKET)) <= SOCKET_PATH_BYTES_MAX;
  const short = createHash("sha256").update(folder).digest("hex").slice(0, 12);
  return {
    folder,
    sockets: fits ? inside("run") : path.join("/tmp", `lifeboat-stack-${short}`),
    supervisor: inside("supervisor"),
    logs: inside("supervisor", "logs"),
    controller: controllerIn(folder),
    secrets: inside("secrets"),
    vault: inside("vault"),
    spool: inside("spool"),
    programCache: inside("cache"),
    portsFile: inside("ports.json"),
    scaleFile: inside("scale.json"),
    recoveryKeyMark: inside("recovery-key-unshown.json"),
    unread: inside("unread"),
    feeds: inside("feeds"),
    durabilityFile: inside("durability.json"),
    dataOf: (component) => inside("data", component),
    configOf: (component) => inside("config", component),
  };
}
