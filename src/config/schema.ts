/**
 * Every setting of Lifeboat, declared once.
 *
 * Nouns: a *section* groups *settings* as `lifeboat.yaml` does; a *source* says where a value came from: default, file,
 * environment or flag, the later winning over the earlier.
 * Invariants: types, flags, environment names, help and docs/reference.md follow from this table alone; a value that is
 * not accepted anywhere, also one that another source overrides, is a problem; all problems are told at once, by path,
 * before any effect; a passphrase or password is never taken from a flag or from the file.
 */
import type { ByteSize } from "../units/byte-size.ts";
import type { DurationMs } from "../units/duration.ts";
import {
  type AnySetting,
  computedSetting,
  type OptionalSetting,
  optionalSetting,
  type Place,
  type Section,
  type Setting,
  setting,
} from "./setting.ts";
import {
  addresses,
  byteSize,
  choice,
  duration,
  host,
  location,
  nameBeside,
  networks,
  port,
  slotName,
  text,
  webhook,
  whole,
} from "./value-kind.ts";

const SECOND_MS = 1_000;
const KIB = 1_024;
const ROOT_UID = 0;

/**
 * Roles of a stack that are not the application's, those of PostgreSQL, and the console of the pooler: by any of them the application's
 * password would lock out who has another.
 */
const ROLES_TAKEN = ["postgres", "replicator", "lifeboat", "lifeboat_check", "lifeboat_pooler", "pg_*"];

/** The console of PgBouncer has the first of these names; nobody works in the others. */
const DATABASES_TAKEN = ["pgbouncer", "template0", "template1"];

/** The table. */
export const SETTINGS = {
  server: {
    describe: "The PostgreSQL server that is protected.",
    settings: {
      host: setting(host(), "localhost", "Host name, address, or the folder of the server's Unix socket."),
      port: setting(port(), 5432, "Port of the server."),
      user: setting(text("ROLE"), "lifeboat", "Role to log in as; it needs REPLICATION."),
      database: setting(text("NAME"), "postgres", "Database for ordinary queries."),
      password: {
        ...optionalSetting(text("PASSWORD"), "no password", "Password of the role; environment only."),
        secrecy: "secret",
        alsoEnvironment: "PGPASSWORD",
      },
      passwordFile: optionalSetting(location("file"), "not read", "File that holds the password of the role."),
      passwordCommand: optionalSetting(text("COMMAND"), "not run", "Shell command that prints the password."),
      tls: optionalSetting(
        choice(["verify-full", "require", "disable"]),
        "disable for this machine, verify-full for any other",
        "Encryption of the connection, as in libpq's sslmode.",
      ),
      caFile: optionalSetting(
        location("file"),
        "the certificates Node.js trusts",
        "Certificates that may sign the server's, for verify-full.",
      ),
      connectTimeout: setting(
        waiting({ maxMs: 600 * SECOND_MS }),
        ms(10 * SECOND_MS),
        "How long a connection may take to open.",
      ),
    },
  },
  vault: {
    describe: "Where backups and WAL are kept.",
    settings: {
      path: computedSetting(
        location("folder"),
        byUser({
          root: "/var/backups/lifeboat",
          others: "$XDG_DATA_HOME/lifeboat/vault",
          of: (p) => p.dataHome,
          tail: "lifeboat/vault",
        }),
        "Folder of the vault.",
      ),
      encryption: setting(
        choice(["on", "off"]),
        "on",
        "Whether the vault asks for a secret; off keeps the key beside the data.",
      ),
      passphraseFile: optionalSetting(
        location("file"),
        "asked for on a terminal",
        "File that holds the vault's passphrase.",
      ),
      passphraseCommand: optionalSetting(
        text("COMMAND"),
        "asked for on a terminal",
        "Shell command that prints the vault's passphrase.",
      ),
      recoveryKeyFile: optionalSetting(
        location("file"),
        "the passphrase is used",
        "File that holds the recovery key; used instead of the passphrase.",
      ),
      identityFile: optionalSetting(
        location("file"),
        "the passphrase is used",
        "File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.",
      ),
    },
  },
  folders: {
    describe: "Where Lifeboat keeps its own things on this machine.",
    settings: {
      state: computedSetting(
        location("folder"),
        byUser({
          root: "/var/lib/lifeboat",
          others: "$XDG_STATE_HOME/lifeboat",
          of: (p) => p.stateHome,
          tail: "lifeboat",
        }),
        "State that must survive a restart.",
      ),
      spool: computedSetting(
        location("folder"),
        byUser({
          root: "/var/spool/lifeboat",
          others: "$XDG_STATE_HOME/lifeboat/spool",
          of: (p) => p.stateHome,
          tail: "lifeboat/spool",
        }),
        "WAL that was received and is not yet in the vault; on a disk of its own if possible.",
      ),
      sandbox: computedSetting(
        location("folder"),
        byUser({
          root: "/var/lib/lifeboat/sandbox",
          others: "$XDG_STATE_HOME/lifeboat/sandbox",
          of: (p) => p.stateHome,
          tail: "lifeboat/sandbox",
        }),
        "Throw-away servers of proofs, drills and the demo.",
      ),
    },
  },
  receiver: {
    describe: "How WAL is received.",
    settings: {
      slot: setting(slotName(), "lifeboat_vault", "Physical replication slot on the server."),
      applicationName: setting(
        slotName(),
        "lifeboat_vault",
        "Name of the standby connection, as synchronous_standby_names lists it.",
      ),
      statusInterval: setting(
        waiting({ minMs: 100, maxMs: 60 * SECOND_MS }),
        ms(SECOND_MS),
        "Longest time between two reports to the server.",
      ),
      delay: setting(
        waiting({ minMs: 0, maxMs: 600 * SECOND_MS }),
        ms(0),
        "Hold back every confirmation for so long; only to show what a slow receiver costs.",
      ),
    },
  },
  backup: {
    describe: "How backups are taken.",
    settings: {
      checkpoint: setting(
        choice(["fast", "spread"]),
        "fast",
        "fast starts at once and loads the server; spread waits for a gentle checkpoint.",
      ),
      compressionLevel: setting(
        whole("LEVEL", { min: 1, max: 19 }),
        2,
        "Zstandard level; above 2 it costs much time and saves little.",
      ),
      maxRate: optionalSetting(
        byteSize({ min: bytes(32 * KIB), max: bytes(KIB ** 3) }),
        "as fast as the server sends",
        "Most bytes a second the server may send.",
      ),
      nice: setting(
        whole("STEPS", { min: 0, max: 19 }),
        10,
        "How far a backup stands back for whatever else wants the processors; 0 for not at all.",
      ),
    },
  },
  retention: {
    describe: "Which backups `prune` keeps, by hours, days and ISO weeks in UTC counted back from now.",
    settings: {
      hourly: setting(whole("HOURS", { min: 0, max: 8_784 }), 24, "In how many hours the newest backup is kept."),
      daily: setting(whole("DAYS", { min: 0, max: 3_660 }), 7, "In how many days the newest backup is kept."),
      weekly: setting(whole("WEEKS", { min: 0, max: 1_040 }), 4, "In how many weeks the newest backup is kept."),
      manualDays: optionalSetting(
        whole("DAYS", { min: 1, max: 36_600 }),
        "manual backups stay until they are named",
        "After how many days manual backups go.",
      ),
      grace: setting(
        waiting({ minMs: 3_600 * SECOND_MS, maxMs: 366 * 86_400 * SECOND_MS }),
        ms(86_400 * SECOND_MS),
        "How long a backup that is to go can be brought back.",
      ),
    },
  },
  restore: {
    describe: "How backups are restored.",
    settings: {
      bootTimeout: setting(
        waiting({ minMs: SECOND_MS, maxMs: 7 * 86_400 * SECOND_MS }),
        ms(3_600 * SECOND_MS),
        "How long the restored server may take to replay WAL and accept connections.",
      ),
      walLaidMax: setting(
        byteSize({ min: bytes(KIB ** 2), max: bytes(16 * KIB ** 4) }),
        // A few minutes of replay: below, what is simplest; above, WAL would take more and more room beside the data.
        bytes(4 * KIB ** 3),
        "With --boot, and in a proof: most WAL to lay into pg_wal before the start; the rest is fed while the server recovers.",
      ),
    },
  },
  proof: {
    describe: "How backups are proven.",
    settings: {
      invariantsFile: optionalSetting(
        location("file"),
        "none are asked",
        "YAML list of queries that must hold in the restored databases; see docs/operating.md.",
      ),
    },
  },
  status: {
    describe: "What counts as well.",
    settings: {
      backupMaxAge: setting(
        waiting({ minMs: 60 * SECOND_MS, maxMs: 366 * 86_400 * SECOND_MS }),
        ms(26 * 3_600 * SECOND_MS),
        "A newest backup older than this is wrong; a day and two hours suits one backup a day.",
      ),
      proofMaxAge: setting(
        waiting({ minMs: 60 * SECOND_MS, maxMs: 366 * 86_400 * SECOND_MS }),
        ms(8 * 86_400 * SECOND_MS),
        "A newest proof of a restored backup older than this is wrong; eight days suit one proof a week.",
      ),
    },
  },
  replication: {
    describe: "What counts as well between the stack's primary and those who follow it.",
    settings: {
      lagMax: setting(
        waiting({ minMs: 100, maxMs: 86_400 * SECOND_MS }),
        ms(30 * SECOND_MS),
        "A replica that has not replayed for so long is wrong, and a receiver that has not synced; by heartbeat.",
      ),
      lagBytesMax: setting(
        byteSize({ min: bytes(KIB ** 2), max: bytes(KIB ** 4) }),
        bytes(KIB ** 3),
        "So much WAL that is not replayed, or not synced, is wrong.",
      ),
    },
  },
  stack: {
    describe: "The stack that `lifeboat up` runs on this machine.",
    settings: {
      name: setting(slotName(), "catalog", "Name of the stack; its folder is stacks/<name> below folders.state."),
      postgresMajor: setting(choice(["15", "16", "17", "18"]), "16", "Major version of its PostgreSQL."),
      database: setting(nameBeside(DATABASES_TAKEN), "catalog", "Database of the application."),
      applicationRole: setting(nameBeside(ROLES_TAKEN), "buywhere", "Role of the application; it owns the database."),
      durability: setting(
        choice(["async", "quorum", "strict"]),
        "quorum",
        "Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.",
      ),
      daemon: setting(
        choice(["on", "off"]),
        "on",
        "Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.",
      ),
      service: setting(
        choice(["on", "off"]),
        "on",
        "Whether `lifeboat up` starts the service: the catalogue's API behind the balancer, the MCP service and the scraper-scheduler.",
      ),
      feeds: setting(
        choice(["made-up", "none"]),
        "made-up",
        "What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.",
      ),
      frontPort: setting(port(), 8000, "The balancer's port, which leads to the API."),
      mcpPort: setting(port(), 8080, "Port of the MCP service."),
      readPort: setting(port(), 5434, "The balancer's port that leads to a server to read from."),
      dbPort: setting(port(), 5432, "Port of the primary."),
      replicaPort: setting(port(), 5433, "Port of the replica."),
      poolerPort: setting(port(), 5435, "Port of PgBouncer."),
      redisPort: setting(port(), 6379, "Port of redis."),
      api: optionalSetting(
        addresses(),
        "the service's own",
        "Instances of an API that others run, as host:port with commas between: the front leads to them, too.",
      ),
      privateWebhooks: setting(
        choice(["on", "off"]),
        "off",
        "Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.",
      ),
      trustedProxies: optionalSetting(
        networks(),
        "none",
        "Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.",
      ),
      maxConnections: setting(
        whole("COUNT", { min: 30, max: 10_000 }),
        200,
        "Connections a node takes (max_connections).",
      ),
      sharedBuffers: setting(
        byteSize({ min: bytes(16 * KIB ** 2), max: bytes(KIB ** 4) }),
        bytes(128 * KIB ** 2),
        "Memory of a node for pages (shared_buffers).",
      ),
      slotWalMax: setting(
        byteSize({ min: bytes(64 * KIB ** 2), max: bytes(16 * KIB ** 4) }),
        bytes(8 * KIB ** 3),
        "Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).",
      ),
      cacheMemoryMax: setting(
        byteSize({ min: bytes(KIB ** 2), max: bytes(16 * KIB ** 4) }),
        bytes(256 * KIB ** 2),
        "Most memory of redis.",
      ),
      programsDir: optionalSetting(
        location("folder"),
        "the system's folders",
        "Folder that is looked into first for redis-server, pgbouncer and haproxy.",
      ),
      cachePolicy: setting(
        choice(["allkeys-lru", "allkeys-lfu", "volatile-lru", "volatile-ttl", "noeviction"]),
        "allkeys-lru",
        "What goes when redis' memory is full.",
      ),
    },
  },
  pooler: {
    describe: "The PgBouncers in front of the server, by their consoles.",
    settings: {
      consoles: optionalSetting(
        addresses({ sockets: true }),
        "no pooler",
        "Where they listen, as host:port with commas between, the host also the folder of a Unix socket; each process by an address of its own.",
      ),
      passwordFile: optionalSetting(
        location("file"),
        "no password",
        "File that holds the password of the role lifeboat_pooler, one of their admin_users.",
      ),
      databasesFile: optionalSetting(
        location("file"),
        "not known",
        "File that their pgbouncer.ini includes and that says where their databases lead.",
      ),
    },
  },
  failover: {
    describe: "When the primary role moves, and who is told.",
    settings: {
      automatic: setting(
        choice(["on", "off"]),
        "on",
        "Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.",
      ),
      silentAfter: setting(
        waiting({ minMs: 200, maxMs: 600 * SECOND_MS }),
        ms(2_600),
        "A server that does not answer counts as gone after this: what tells frozen from slow.",
      ),
      refusedAfter: setting(
        waiting({ minMs: 20, maxMs: 600 * SECOND_MS }),
        ms(40),
        "A machine that answers and on whose port nobody listens counts as a dead server after this.",
      ),
      startingAfter: setting(
        waiting({ minMs: 500, maxMs: 3_600 * SECOND_MS }),
        ms(10 * SECOND_MS),
        "A server that restarts after a crash of its own is given this long.",
      ),
      stuckAfter: setting(
        waiting({ minMs: 500, maxMs: 3_600 * SECOND_MS }),
        ms(5 * SECOND_MS),
        "A server that takes sessions and finishes no write counts as gone after this.",
      ),
      diskFull: setting(
        choice(["hold", "failover"]),
        "hold",
        "When the primary's disk is full: wait for a person, or move to a node with room.",
      ),
      webhook: optionalSetting(webhook(), "nobody is told", "Told of every failover, as JSON by POST."),
      hookCommand: optionalSetting(
        text("COMMAND"),
        "none is run",
        "Shell command run for every event: JSON on its input, the kind in LIFEBOAT_EVENT.",
      ),
      etcdEndpoints: optionalSetting(
        text("URLS"),
        "a lock of this machine",
        "etcd that grants the right to act, for controllers on several machines; URLs with commas between.",
      ),
      etcdPrefix: optionalSetting(text("KEY"), "/lifeboat/ and the stack's name", "Where its keys lie in etcd."),
      etcdTtl: setting(
        waiting({ minMs: 12 * SECOND_MS, maxMs: 600 * SECOND_MS }),
        ms(15 * SECOND_MS),
        "How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.",
      ),
    },
  },
  postgres: {
    describe: "PostgreSQL servers that Lifeboat starts itself.",
    settings: {
      binDir: optionalSetting(
        location("folder"),
        "found by the major version",
        "Folder of the server's programs (postgres, initdb, pg_ctl).",
      ),
      runAs: optionalSetting(
        text("USER"),
        "lifeboat, else postgres, else lifeboat is made",
        "User that servers run as when Lifeboat is started by root.",
      ),
    },
  },
} satisfies Readonly<Record<string, Section>>;

/** The name of a section. */
export type SectionName = keyof typeof SETTINGS;

type ValueOf<S> = S extends OptionalSetting<infer T> ? T | undefined : S extends Setting<infer T> ? T : never;

/** The whole configuration, typed. */
export type Config = {
  readonly [S in SectionName]: {
    readonly [N in keyof (typeof SETTINGS)[S]["settings"]]: ValueOf<(typeof SETTINGS)[S]["settings"][N]>;
  };
};

/** All sections, in the order of the table. */
export const SECTION_NAMES = Object.keys(SETTINGS) as readonly SectionName[];

/** One row of the table, with the names that follow from its place. */
export type SettingRow = {
  readonly section: SectionName;
  readonly name: string;
  /** `server.host` */
  readonly path: string;
  readonly setting: AnySetting;
};

/** All settings in the order of the table. */
export const SETTING_ROWS: readonly SettingRow[] = SECTION_NAMES.flatMap((section) =>
  Object.entries<AnySetting>(SETTINGS[section].settings).map(([name, each]) => ({
    section,
    name,
    path: `${section}.${name}`,
    setting: each,
  })),
);

function ms(value: number): DurationMs {
  return value as DurationMs;
}

function bytes(value: number): ByteSize {
  return value as ByteSize;
}

function waiting(bounds: { readonly minMs?: number; readonly maxMs: number }) {
  return duration({ min: ms(bounds.minMs ?? 1), max: ms(bounds.maxMs) });
}

function byUser(paths: {
  readonly root: string;
  readonly others: string;
  readonly of: (place: Place) => string;
  readonly tail: string;
}) {
  return {
    of: (place: Place) => (place.uid === ROOT_UID ? paths.root : `${paths.of(place)}/${paths.tail}`),
    documented: `${paths.root} for root, ${paths.others} for others`,
  };
}
