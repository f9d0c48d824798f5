/** `lifeboat restore`. */
import type { Config } from "../config/schema.ts";
import { choice, location, moment, port, text } from "../config/value-kind.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import { shellQuoted } from "../platform/shell-word.ts";
import { formatLsn, type Lsn, type Timeline } from "../postgres/lsn.ts";
import type { TablespaceChoice } from "../restore/layout.ts";
import { describeStop, describeTarget, type PlannedStop, type RecoveryTarget } from "../restore/target.ts";
import { describeByteSize } from "../units/byte-size.ts";
import { describeDuration } from "../units/duration.ts";
import { usageError } from "./failure.ts";
import {
  stopJson,
  TARGET_WORDS,
  targetJson,
  targetOf,
  timelineChoice,
  transactionId,
  walPosition,
} from "./restore-target.ts";
import { printable, type Style } from "./style.ts";
import { renderFacts } from "./table.ts";
import { defineVerb, optional, required, type Session, toggle, type Verb } from "./verb.ts";

/** What is asked of a restore; the rest is configuration. */
export type RestoreChoice = {
  readonly target: RecoveryTarget;
  /** Undefined: the newest. */
  readonly timeline: Timeline | undefined;
  readonly targetFolder: string;
  /** Undefined: the newest backup that reaches the target, of those that did not fail their proofs if one of them does. */
  readonly backupId: string | undefined;
  /** Undefined: the server is not started. */
  readonly boot: { readonly port: number | undefined } | undefined;
  /** Undefined: the only system of the vault. */
  readonly system: string | undefined;
  readonly acceptGap: boolean;
  /** Of the folder, where only it has them. */
  readonly giveUpCommits: boolean;
  /** Keep what of the folder the backup has too. */
  readonly delta: boolean;
  readonly tablespaces: TablespaceChoice;
};

/** What a restore would do: the same value is printed by the dry run and carried out. */
export type RestorePlanFacts = {
  readonly backupId: string;
  readonly postgresMajor: number;
  readonly targetFolder: string;
  readonly target: RecoveryTarget;
  /** What ends recovery, seen in the WAL. */
  readonly stop: PlannedStop;
  /** Where recovery is expected to end. */
  readonly reaches: { readonly timeline: Timeline; readonly lsn: Lsn; readonly time: Instant | undefined };
  readonly dataBytes: number;
  /** What it needs on each file system, with what recovery itself does, and what is free there. */
  readonly needs: readonly {
    readonly folders: readonly string[];
    readonly freeBytes: number;
    readonly neededBytes: number;
  }[];
  /** What is read from the vault. */
  readonly fetchBytes: number;
  readonly walSegmentCount: number;
  readonly walBytes: number;
  /** Of it, what is fed to the server while it recovers instead of laid before. */
  readonly fedBytes: number;
  readonly estimatedMs: number | undefined;
  /** What a delta restore finds in the folder; undefined for a restore into an empty one. */
  readonly delta:
    | { readonly keptBytes: number; readonly writeBytes: number; readonly removedCount: number }
    | undefined;
  /** What a person should know before going on. */
  readonly warnings: readonly string[];
};

/** What a restore did. */
export type RestoreFacts = {
  readonly plan: RestorePlanFacts;
  /** The user that the files were given to; undefined when that is who restored. */
  readonly owner: string | undefined;
  readonly durationMs: number;
  /** Of it, until the folder could be started. */
  readonly filesMs: number;
  readonly writtenBytes: number;
  /** Undefined when the server was not started. */
  readonly server:
    | {
        readonly host: string;
        readonly port: number;
        readonly pid: number;
        /** Where the programs of the server lie. */
        readonly binFolder: string;
        readonly socketFolder: string;
        /** From the start of the server to the end of its recovery. */
        readonly recoveryMs: number;
        readonly reached: { readonly timeline: Timeline; readonly lsn: Lsn };
      }
    | undefined;
};

/** Plans a restore, and carries a plan out. */
export type RestoreEngine = {
  readonly plan: (call: {
    readonly config: Config;
    readonly session: Session;
    readonly choice: RestoreChoice;
    /** Nothing is to be carried out. */
    readonly dryRun: boolean;
  }) => Promise<{
    readonly facts: RestorePlanFacts;
    readonly carryOut: () => Promise<RestoreFacts>;
    /** Lets go of what the plan holds, carried out or not. */
    readonly close: () => Promise<void>;
  }>;
};

const EXAMPLES = [
  { line: "lifeboat restore --target /var/lib/postgresql/16/main", does: "To the last commit in the vault." },
  { line: "lifeboat restore --target /srv/r --to-time 2026-01-01T03:00:00Z", does: "To just before a mistake." },
  { line: "lifeboat restore --target /srv/r --to-xid 81274 --exclusive", does: "To just before a transaction." },
  {
    line: "lifeboat restore --target /srv/pg --delta",
    does: "Over a stopped server's data, keeping what is equal.",
  },
  { line: "lifeboat restore --target /srv/r --dry-run", does: "What it would do and how long that takes." },
  { line: "lifeboat restore --target /srv/r --boot --port 5499", does: "And start the server." },
];

/** `restore`. */
export function restoreVerb(engine: RestoreEngine): Verb {
  return defineVerb({
    path: ["restore"],
    summary: "Restore a backup and replay WAL",
    description:
      "Writes a backup into an empty folder, lays the WAL for the wanted moment beside it, and with --boot starts the " +
      "server and waits until it accepts connections. A folder with files in it is refused. With --delta it may be the data " +
      "directory of a stopped server of the same system: what is equal stays, the rest is overwritten or removed.",
    arguments: {},
    options: {
      target: required(location("folder"), "Folder for the restored data directory: empty or not there."),
      to: optional(choice(TARGET_WORDS), "How far to recover. Default: latest, or what another --to says."),
      toTime: optional(moment(), "Recover all that was committed up to this moment, and nothing after it."),
      toLsn: optional(walPosition(), "Recover up to this position in the WAL."),
      toXid: optional(transactionId(), "Recover up to the end of this transaction; others may have ended before it."),
      toName: optional(text("NAME"), "Recover up to this restore point, made with pg_create_restore_point()."),
      immediate: toggle("Recover until the backup is consistent, and no further."),
      exclusive: toggle("With --to-time, --to-lsn or --to-xid: stop just before it instead of just after."),
      timeline: optional(
        timelineChoice(),
        "Timeline to follow. Default: latest, the newest that grew out of the backup's own.",
      ),
      backup: optional(text("ID"), "Start from this backup. Default: the newest that serves, with no failed proof."),
      system: optional(text("ID"), "System identifier. Default: the only one of the vault."),
      delta: toggle("Into the data directory of a stopped server: keep what is equal, overwrite or remove the rest."),
      giveUpCommits: toggle("With --delta: give up commits that only the folder has, knowingly."),
      acceptGap: toggle("Where WAL is missing, restore to the last position before the hole, knowingly."),
      tablespace: optional(text("OID=FOLDER[,...]"), "Where tablespaces go, by their OID."),
      tablespacesUnder: optional(
        location("folder"),
        "Where tablespaces go that --tablespace does not name, one folder each.",
      ),
      dryRun: toggle("Print the plan and change nothing."),
      boot: toggle("Start the restored server and wait for it."),
      port: optional(port(), "Port of the started server. Default: a free one."),
    },
    configuration: { kind: "checked", sections: ["vault", "folders", "restore", "postgres"] },
    examples: EXAMPLES,
    run: async ({ options, session }) => {
      if (options.port !== undefined && !options.boot) {
        throw usageError("--port without --boot: no server is started", "Add --boot, or leave --port out.");
      }
      const plan = await engine.plan({
        config: await session.config(),
        session,
        choice: {
          target: targetOf(options),
          timeline: options.timeline === "latest" ? undefined : options.timeline,
          targetFolder: options.target,
          backupId: options.backup,
          boot: options.boot ? { port: options.port } : undefined,
          system: options.system,
          acceptGap: options.acceptGap,
          giveUpCommits: options.giveUpCommits,
          delta: options.delta,
          tablespaces: { byOid: tablespacesOf(options.tablespace), under: options.tablespacesUnder },
        },
        dryRun: options.dryRun,
      });
      const { style } = session;
      try {
        if (options.dryRun) return { json: { plan: planJson(plan.facts) }, text: renderPlan(plan.facts, style) };
        const restored = await plan.carryOut();
        return { json: { ...restored, plan: planJson(restored.plan) }, text: renderRestored(restored, style) };
      } finally {
        await plan.close();
      }
    },
  });
}

/** Reads `16385=/srv/a,16386=/srv/b`. Throws `config.usage`. */
export function tablespacesOf(given: string | undefined): ReadonlyMap<number, string> {
  const folders = new Map<number, string>();
  for (const each of given?.split(",") ?? []) {
    const match = /^(\d{1,10})=(\/.+)$/.exec(each);
    if (match === null) {
      throw usageError(`--tablespace "${each}" is not OID=FOLDER`, "Write it as --tablespace 16385=/srv/tablespace.");
    }
    folders.set(Number(match[1]), match[2] ?? "");
  }
  return folders;
}

/** A plan for people. */
export function renderPlan(plan: RestorePlanFacts, style: Style): string {
  const { reaches } = plan;
  const time = reaches.time === undefined ? "" : `${formatInstant(reaches.time)}, `;
  const fed = plan.fedBytes === 0 ? "" : `, of which ${describeByteSize(plan.fedBytes)} are fed while it recovers`;
  const facts = renderFacts([
    ["backup", `${plan.backupId} of PostgreSQL ${plan.postgresMajor}`],
    ["into", plan.targetFolder],
    ["target", describeTarget(plan.target)],
    ["stops", describeStop(plan.stop)],
    ["reaches", `${time}${formatLsn(reaches.lsn)} on timeline ${reaches.timeline}`],
    ["writes", describeByteSize(plan.delta?.writeBytes ?? plan.dataBytes)],
    ...deltaRows(plan.delta),
    ...plan.needs.map(
      ({ folders, freeBytes, neededBytes }) =>
        [
          "needs",
          `${describeByteSize(neededBytes)} for ${folders.join(", ")}, where ${describeByteSize(freeBytes)} are free`,
        ] as const,
    ),
    ["fetches", describeByteSize(plan.fetchBytes)],
    ["replays", `${plan.walSegmentCount} segments of WAL, ${describeByteSize(plan.walBytes)}${fed}`],
    ["takes about", plan.estimatedMs === undefined ? "not known" : describeDuration(plan.estimatedMs)],
  ]);
  const warnings = plan.warnings.map((warning) => style.warning(`warning: ${printable(warning)}`));
  return [style.strong("The plan"), facts, ...warnings].join("\n");
}

function deltaRows(delta: RestorePlanFacts["delta"]): readonly (readonly [string, string])[] {
  if (delta === undefined) return [];
  return [
    ["keeps", `${describeByteSize(delta.keptBytes)} of what lies there`],
    ["removes", `${delta.removedCount} files and folders that the backup lacks or has otherwise`],
  ];
}

/**
 * Of a restored server that is started for the first time: the one that it is a copy of may live, with the archive, the
 * subscriptions, the pid file and the log of both. A pid file goes with the server that ends, and a log may be emptied by the one that starts.
 */
export const APART_SETTINGS = {
  archive_mode: "off",
  max_logical_replication_workers: "0",
  // An empty name is complained of at each start.
  external_pid_file: "lifeboat-restore/server.pid",
  logging_collector: "off",
  log_destination: "stderr",
} as const;

const APART_TEXT =
  "In case the original lives, it archives no WAL and its subscriptions rest until your service starts it.";

/** A finished restore for people. */
export function renderRestored(restored: RestoreFacts, style: Style): string {
  const { server, plan } = restored;
  const head = style.good(
    `Restored ${plan.backupId} into ${printable(plan.targetFolder)} in ${describeDuration(restored.durationMs)}.`,
  );
  const as = restored.owner === undefined ? "" : `runuser -u ${restored.owner} -- `;
  const on = `-D ${quoted(plan.targetFolder)}`;
  if (server === undefined) {
    const log = quoted(`${plan.targetFolder}/lifeboat-restore/server.log`);
    const apart = Object.entries(APART_SETTINGS).map(([name, value]) => `-c ${name}=${value}`);
    const start = `${as}pg_ctl ${on} -l ${log} -o ${shellQuoted(apart.join(" "))} -w -t 86400 start`;
    const steps = renderFacts([[`start it, with the pg_ctl of PostgreSQL ${plan.postgresMajor}`, start]]);
    return `${head}\nThe server was not started; starting it replays the WAL. ${APART_TEXT}\n\n${steps}`;
  }
  const { reached } = server;
  const control = quoted(`${server.binFolder}/pg_ctl`);
  const steps = renderFacts([
    ["connect", `psql -h ${server.host} -p ${server.port}`],
    ["stop it", `${as}${control} ${on} stop`],
  ]);
  const up = `The server accepts connections on ${server.host}, port ${server.port} (process ${server.pid}), recovered to ${formatLsn(reached.lsn)} on timeline ${reached.timeline}.`;
  return `${head}\n${up}\n${APART_TEXT}\n\n${steps}`;
}

// As a shell takes it for one word.
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : shellQuoted(word);
}

function planJson(plan: RestorePlanFacts) {
  const { time } = plan.reaches;
  const reaches = { ...plan.reaches, time: time === undefined ? null : formatInstant(time) };
  return { ...plan, target: targetJson(plan.target), stop: stopJson(plan.stop), reaches };
}
