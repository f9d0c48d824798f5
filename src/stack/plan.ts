/**
 * What bringing a stack up, or down, will do. Pure: decided from what was seen, printed and carried out as it stands.
 *
 * Nouns: a *step* is one effect with its own look whether it is there; a step that cannot be looked at yet (the roles of a
 * database that does not run) is planned, and does nothing when its turn comes and its effect is there.
 * Order, going up: whatever a step needs comes before it, and the replica's slot before the backup that the replica is made
 * of, so that the primary keeps what follows the backup. Commits wait for confirmers only once these are connected: cut
 * before, the primary serves alone; after, it serves as described. Cut anywhere, `up` goes on.
 * Order, going down: first whom clients reach, then who serves them, the primary behind the replica, the receiver behind
 * the primary: the primary's last WAL is then in the vault.
 */
import type { DurabilityMode } from "../durability/names.ts";
import type { ComponentName } from "./component-names.ts";
import { componentOf } from "./instances.ts";

/** The steps of a start-up, in their order. */
export const UP_STEPS = [
  "folders",
  "secrets",
  "config",
  "undescribed",
  "db-data",
  "db-start",
  "database",
  "vault",
  "receiver",
  "backup",
  "replica-data",
  "replica-start",
  "durability",
  "redis",
  "pgbouncer",
  "pooler_watch",
  "api",
  "haproxy",
  "mcp",
  "scraper-scheduler",
  "daemon",
  "proof",
] as const;

/** One of them. */
export type UpStep = (typeof UP_STEPS)[number];

/**
 * Steps that a failover and the way to the database do without: where one fails, those behind it are carried out all the same. A cache
 * that cannot read its files must not leave the stack without its balancer and its daemon.
 */
export const APART_STEPS: ReadonlySet<UpStep> = new Set([
  "redis",
  "pgbouncer",
  "pooler_watch",
  "api",
  "haproxy",
  "mcp",
  "scraper-scheduler",
]);

/**
 * Steps of who confirms commits. Where it is decided for whom these wait, a stack goes on without one of them as it does when one is lost
 * while it is up: by that decision writes wait or do not, and the daemon that comes later is who mends a replica.
 */
export const CONFIRMER_STEPS: ReadonlySet<UpStep> = new Set(["receiver", "backup", "replica-data", "replica-start"]);

/** What is passed over where one of these failed or was passed over itself. */
export const RESTS_ON: Readonly<Partial<Record<UpStep, readonly UpStep[]>>> = {
  backup: ["receiver"],
  "replica-data": ["receiver", "backup"],
  "replica-start": ["replica-data"],
  proof: ["replica-start", "pgbouncer"],
};

/** What each step brings about, as an operator reads it. */
export const STEP_EFFECTS: Readonly<Record<UpStep, string>> = {
  folders: "the stack's folders are there",
  secrets: "every secret is made and only its owner can read it",
  config: "each program's configuration is as described",
  undescribed: "nothing runs that is not described any more",
  "db-data": "the primary has a data directory with checksums",
  "db-start": "the primary accepts connections",
  database: "roles, grants, the database and the slots are there",
  vault: "the vault is made",
  receiver: "the receiver streams into the vault",
  backup: "the vault has a backup",
  "replica-data": "the replica is restored from the vault",
  "replica-start": "the replica streams",
  durability: "commits wait for as many confirmers as described",
  redis: "redis answers",
  pgbouncer: "PgBouncer answers",
  pooler_watch: "the watchdog of PgBouncer runs",
  api: "the database has the newest schema, and every instance of the API can serve",
  haproxy: "the balancer answers",
  mcp: "the MCP service answers",
  "scraper-scheduler": "the scraper-scheduler reads sources, and warms the cache",
  daemon: "the daemon answers, and watches the stack",
  proof: "a write through PgBouncer was read back on the replica",
};

/** The step that starts a component, and looks whether it does its work. */
export function startStepOf(component: ComponentName, { primary }: Pick<Roles, "primary">): UpStep {
  if (component === "db" || component === "db_replica") return component === primary ? "db-start" : "replica-start";
  return component;
}

/** Which node is the primary, and whether a controller has said so. */
export type Roles = {
  readonly primary: "db" | "db_replica";
  readonly recorded: "none" | "settled" | "unsettled";
  /** A person paused failover. */
  readonly failoverPaused?: boolean;
};

/** What is in the data folder of a node. */
export type NodeData =
  /** Nothing, or not even the folder. */
  | "absent"
  /** A cluster that was not made to the end, by initdb or by a restore: it cannot start. */
  | "unfinished"
  /** A cluster that starts as a primary. */
  | "primary"
  /** A cluster that starts as a standby. */
  | "standby";

/** What was seen of a stack. */
export type StackFacts = {
  readonly folders: boolean;
  readonly secretsMissing: number;
  /** Components whose files are not as described, or not there. */
  readonly configStale: readonly ComponentName[];
  readonly roles: Roles;
  /** Whether the daemon is one of its components. */
  readonly wantsDaemon: boolean;
  /** Whether the service is. */
  readonly wantsService: boolean;
  /** Of the primary. */
  readonly db: NodeData;
  readonly replica: NodeData;
  /** `unread`: it is there, and without the secrets that are missing nobody knows what it holds. */
  readonly vault: "absent" | "unread" | "no-backup" | "has-backup";
  /** The vault that the receiver has worked with, where another one or none lies in its place now. */
  readonly replacedVault?: string | undefined;
  /** Of several programs all. */
  readonly running: ReadonlySet<ComponentName>;
  /** Programs that run, of components that the stack is to do without. */
  readonly undescribed: readonly string[];
  /** An instance of the API runs that was written for a newer schema than the database has, and waits for it. */
  readonly apiAwaitsSchema: boolean;
  /** Whether every pooler lets the application in; undefined while they do not run or lead nowhere. */
  readonly poolersServe?: boolean | undefined;
  /** The database that the poolers lead to, where another one is described and they would go on leading there. */
  readonly otherDatabase?: string | undefined;
  /** The role that the poolers let in as the application's, where another one is described to which the database does not belong. */
  readonly otherApplication?: string | undefined;
  /** A daemon runs, whether or not another one stands by. */
  readonly governed: boolean;
  /** What the primary says; undefined while it cannot be asked. */
  readonly primary: PrimaryFacts | undefined;
};

/** What the primary says of itself. */
export type PrimaryFacts = {
  /** Roles, grants, database and slots. */
  readonly prepared: boolean;
  /**
   * The application's role has the secret that the pooler has, and the table of the proof where that is there; the replicas' and ours have the
   * passwords that these log in with.
   */
  readonly rolesFit: boolean;
  /** Whose the described database is; undefined: there is none. */
  readonly databaseOwner?: string | undefined;
  /** `unset`: nobody has decided yet; `other`: somebody set something that is none of ours. */
  readonly durability: DurabilityMode | "unset" | "other";
  readonly receiverStreams: boolean;
  readonly replicaStreams: boolean;
};

/** What bringing up will do, or why it must not be done. */
export type UpPlan =
  | { readonly kind: "steps"; readonly steps: readonly UpStep[] }
  /**
   * The primary's data is gone, or was not restored to the end, and the vault has backups, or may have, or the other node has data: a
   * new cluster in its place would be a silent loss of all of it.
   */
  | { readonly kind: "refused"; readonly reason: "data-missing" }
  /** The receiver has worked with a vault, and there is none: a disk that is not mounted must not get a new one, unsaid, in its place. */
  | { readonly kind: "refused"; readonly reason: "vault-missing"; readonly vaultId: string }
  /** The primary does not run, a daemon does, and leaves it so: a person paused failover. What would follow could only wait in vain. */
  | { readonly kind: "refused"; readonly reason: "failover-paused" }
  /** Poolers and daemon would go on with two databases, and the described one is made by nobody. */
  | { readonly kind: "refused"; readonly reason: "database-changed"; readonly database: string }
  /** The application would be locked out, and the described role may do nothing in its database. */
  | { readonly kind: "refused"; readonly reason: "application-role-changed"; readonly role: string }
  /** The node named db is a standby, or the replica would start as a primary: both could then take writes. */
  | { readonly kind: "refused"; readonly reason: "roles-changed"; readonly node: "db" | "db_replica" };

/** The order in which components are stopped. */
const STOP_ORDER: readonly ComponentName[] = [
  // First of all: what stops after it must not look like a failure.
  "daemon",
  "scraper-scheduler",
  "mcp",
  "haproxy",
  "api",
  "pooler_watch",
  "pgbouncer",
  "redis",
  "db_replica",
  "db",
  "receiver",
];

/** Plans a start-up. No steps: the stack is up, and nothing is changed. */
export function planUp(facts: StackFacts): UpPlan {
  const { primary, recorded } = facts.roles;
  const replica = primary === "db" ? "db_replica" : "db";
  // A daemon that runs, or that finds an action that has not ended, knows better: nodes are its to start and to rebuild.
  const governed = facts.governed || recorded === "unsettled";
  if (!governed && facts.db === "standby") return { kind: "refused", reason: "roles-changed", node: primary };
  if (facts.governed && recorded === "settled" && facts.roles.failoverPaused === true && !facts.running.has(primary)) {
    return { kind: "refused", reason: "failover-paused" };
  }
  if (facts.otherDatabase !== undefined) {
    return { kind: "refused", reason: "database-changed", database: facts.otherDatabase };
  }
  if (facts.otherApplication !== undefined) {
    return { kind: "refused", reason: "application-role-changed", role: facts.otherApplication };
  }
  // An old primary that was replaced is the daemon's to make a replica of.
  const oldPrimary = facts.replica === "primary";
  if (oldPrimary && recorded === "none") return { kind: "refused", reason: "roles-changed", node: replica };
  const leaveReplica = governed || oldPrimary;
  // One that a restore has begun is ended by it: initdb would find a folder that is not empty.
  const dataMissing = facts.db === "absent" || facts.db === "unfinished";
  const isElsewhere = facts.vault === "has-backup" || facts.vault === "unread" || hasCluster(facts.replica);
  if (!governed && dataMissing && isElsewhere) return { kind: "refused", reason: "data-missing" };
  const { replacedVault } = facts;
  if (facts.vault === "absent" && replacedVault !== undefined) {
    return { kind: "refused", reason: "vault-missing", vaultId: replacedVault };
  }
  const lacking: Readonly<Record<Exclude<UpStep, "proof">, boolean>> = {
    folders: !facts.folders,
    secrets: facts.secretsMissing > 0,
    config: facts.configStale.length > 0,
    "db-data": facts.db !== "primary" && !governed,
    "db-start": (!facts.running.has(primary) || facts.primary === undefined) && !governed,
    // After the configuration: the balancer sends nothing to what goes. A daemon in the middle of an action ends that first.
    undescribed: facts.undescribed.length > 0 && recorded !== "unsettled",
    // By other slots a daemon has its reasons; by another password a pooler or a confirmer is locked out, and every proof fails by
    // a table that is another role's.
    // Which it has is not seen as long as a secret is missing: the step looks when that is made anew.
    database:
      (facts.primary?.prepared !== true && !governed) ||
      facts.primary?.rolesFit === false ||
      (facts.primary === undefined && facts.running.has(primary) && facts.secretsMissing > 0),
    vault: facts.vault === "absent",
    receiver:
      !facts.running.has("receiver") ||
      facts.primary?.receiverStreams !== true ||
      // It has the earlier one open. Where an action has not ended, it may not come to stream before that.
      (replacedVault !== undefined && recorded !== "unsettled"),
    backup: facts.vault !== "has-backup",
    "replica-data": facts.replica !== "standby" && !leaveReplica,
    "replica-start": (!facts.running.has(replica) || facts.primary?.replicaStreams !== true) && !leaveReplica,
    // Once decided it stays: an operator may have chosen otherwise since.
    durability: (facts.primary === undefined && !governed) || facts.primary?.durability === "unset",
    redis: !facts.running.has("redis"),
    pgbouncer: !facts.running.has("pgbouncer") || facts.poolersServe === false,
    pooler_watch: !facts.running.has("pooler_watch"),
    // Nobody knows yet whom to migrate where an action has not ended.
    api: facts.wantsService && (!facts.running.has("api") || (facts.apiAwaitsSchema && recorded !== "unsettled")),
    haproxy: !facts.running.has("haproxy"),
    mcp: facts.wantsService && !facts.running.has("mcp"),
    "scraper-scheduler": facts.wantsService && !facts.running.has("scraper-scheduler"),
    daemon: facts.wantsDaemon && !facts.running.has("daemon"),
  };
  const needed = UP_STEPS.filter((step) => step !== "proof" && lacking[step]);
  // Without a replica there is nobody to read it back on.
  const provable = !leaveReplica || facts.primary?.replicaStreams === true;
  return { kind: "steps", steps: needed.length === 0 || !provable ? needed : [...needed, "proof"] };
}

/** Whether a node has data that somebody has worked with. */
export function hasCluster(data: NodeData): boolean {
  return data === "primary" || data === "standby";
}

/** Plans a stop: the programs that run, in the order in which they are stopped. */
export function planDown(running: ReadonlySet<string>): readonly string[] {
  return STOP_ORDER.flatMap((component) =>
    [...running]
      .filter((name) => componentOf(name) === component)
      .toSorted()
      .toReversed(),
  );
}
