/**
 * Makes a node that is down ready to follow a primary: looks, decides (rejoin-decision.ts), acts.
 *
 * Order: a slot on the primary before anything is restored, so that it keeps what follows; the WAL beyond the fork is put
 * aside before it is overwritten, and so is all of the old directory that the backup does not have; the settings last. What is beyond
 * the fork is counted beside what only looks, and has been before anything is written over. Cut
 * anywhere, the node does not start as a primary: a restore that was not finished cannot be started at all, and a node that
 * only follows gets its standby.signal first. A primary that does not answer tells nothing: a standby is then left as it is, to
 * be started, and nothing is written over.
 */
import path from "node:path";
import { databaseMoved } from "../backup/database-moved.ts";
import { assert, isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/registry.ts";
import { writeDurable } from "../platform/durable.ts";
import { filesOwnedBy } from "../platform/owned-files.ts";
import { shellQuoted } from "../platform/shell-word.ts";
import { CONTROL_FILE_PATH, parseControlFile } from "../postgres/control-file.ts";
import {
  historyName,
  type Lsn,
  lsnAdd,
  parseLsn,
  parseSegmentName,
  type SystemId,
  type Timeline,
} from "../postgres/lsn.ts";
import { HeldWal } from "../restore/held-wal.ts";
import type { MovedFound } from "../restore/moved-databases.ts";
import { plannedReach } from "../restore/plan.ts";
import { standbyFiles } from "../restore/recovery-files.ts";
import { type PricedPlan, prepareRestore } from "../restore/restore.ts";
import { ChunkThreads } from "../vault/threads/start.ts";
import type { Vault } from "../vault/vault.ts";
import { type LineagePart, lineageOf, parseHistory, partAt } from "../wal/history.ts";
import { asidesOf, restoreKeepingAside, tablespacesOf } from "./asides.ts";
import { type BeyondFork, lookBeyondFork } from "./beyond-fork.ts";
import { prepareCaughtUp } from "./caught-up.ts";
import { keepWalFrom } from "./evidence.ts";
import { writeNodeFiles } from "./making.ts";
import { lookAtPast } from "./node-past.ts";
import { type NodeName, replicaConnection } from "./node-settings.ts";
import { nodeAddress, withNode } from "./nodes.ts";
import { openStackVault } from "./observe.ts";
import type { NodeData } from "./plan.ts";
import { NODE_NAMES } from "./primary.ts";
import { LIFEBOAT_CONFIG } from "./receiver-config.ts";
import { decideRejoin, type RejoinDecision, type RejoinFacts } from "./rejoin-decision.ts";
import { readSecrets } from "./secrets.ts";
import type { StepTools } from "./steps.ts";
import type { CallOptions } from "./tools.ts";

/** Who is to follow whom, and whether a person wants that of this very node. */
export type RejoinRequest = { readonly node: NodeName; readonly upstream: NodeName; readonly asked: boolean };

/** What it takes; who wants to know is told what only the node had, before that is written over. */
export type RejoinTools = StepTools & {
  readonly onBeyond?: ((found: BeyondFork & { readonly node: NodeName }) => void) | undefined;
};

/** What was done. */
export type Rejoined = {
  readonly decision: RejoinDecision;
  readonly durationMs: number;
  /** Where the WAL beyond the fork was put; undefined where there is none. */
  readonly evidence: string | undefined;
  /** What the old directory can be put back from; undefined where nothing of it was changed. */
  readonly aside: string | undefined;
  /** It stays when the node streams, until somebody removes it. */
  readonly asideLasts: boolean;
  readonly writtenBytes: number;
};

const NO_EVIDENCE = { evidence: undefined, asideLasts: false } as const;
const NOTHING_WRITTEN = { ...NO_EVIDENCE, aside: undefined, writtenBytes: 0 } as const;
/** The primary does not answer: it is down, starting or cut off. */
const SILENCE: readonly ErrorCode[] = [
  "postgres.unreachable",
  "postgres.connection-lost",
  "postgres.shutting-down",
  "postgres.timeout",
];

/**
 * Prepares the node, which must be down and stay down meanwhile. Repeatable. Rejects with `stack.rejoin-refused`, or as
 * restores do.
 */
export async function rejoinNode(tools: RejoinTools, request: RejoinRequest, options: CallOptions): Promise<Rejoined> {
  const { clock, stack } = tools;
  const begun = clock.monotonic();
  const upstream = await askUpstream(tools, request, options).catch((error: unknown) => {
    if (!isLifeboatError(error) || !SILENCE.includes(error.code)) throw error;
    return undefined;
  });
  const place = { folder: stack.place.dataOf(request.node), confirmers: NODE_NAMES };
  const past = await lookAtPast(tools.files, place, options).catch((error: unknown) => {
    if (!isLifeboatError(error, "postgres.control-file-damaged")) throw error;
    const { node, upstream: primary } = request;
    throw refused(
      `${error.message}, so that nobody can tell what ${node} has been; it is restored from the vault once ${place.folder} is moved away`,
      `Where ${primary}, the primary, works, move ${place.folder} away and keep it until ${node} streams, then run lifeboat rebuild ${node}: it is restored from the vault.`,
      error,
    );
  });
  const facts: RejoinFacts = { ...past, upstream, asked: request.asked };
  const decision = decideRejoin(facts);
  if (decision.kind === "start")
    return { decision, durationMs: Math.round(clock.monotonic() - begun), ...NOTHING_WRITTEN };
  if (upstream === undefined) throw refused(`${request.upstream} does not answer`, "See who is what: lifeboat status.");
  const tell = (): Promise<void> => tellBeyond(tools, request.node, { facts, decision }, options);
  let kept: Awaited<ReturnType<typeof keepEvidence>> = NO_EVIDENCE;
  let aside: string | undefined;
  let writtenBytes = 0;
  switch (decision.kind) {
    case "refused":
      throw decision.reason === "second-primary"
        ? refused(
            `${request.node} ran as a primary on timeline ${facts.node?.timeline}, which is none of the past of ${request.upstream}: what it acknowledged there is nowhere else`,
            `Find out whose writes are to stay. Those of ${request.upstream}: lifeboat rebuild ${request.node}; what only ${request.node} had is kept. Those of ${request.node}: lifeboat failover --adopt ${request.node}.`,
          )
        : refused(
            `${stack.place.dataOf(request.node)} is of system ${facts.node?.systemId ?? "unknown"}, the primary ${request.upstream} is of ${upstream.systemId}`,
            "Look whose data this is; remove the folder to have the node restored from the vault.",
          );
    case "follow":
      await tell();
      await writeStandbyFiles(tools, request);
      break;
    case "delta":
    case "restore": {
      kept = await keepEvidence(tools, request.node, facts, decision);
      // Beside what only looks: the restore compares in threads, and this one counts meanwhile.
      const telling = tell();
      const beforeChange = (): Promise<void> => telling;
      const [written] = await Promise.allSettled([
        restoreReplica(tools, request, { upstream, data: facts.data, lasting: kept.asideLasts, beforeChange }, options),
        telling,
      ]);
      if (written.status === "rejected") throw written.reason;
      await telling;
      writtenBytes = written.value;
      aside = (await asidesOf(tools.files, stack, request.node)).at(-1);
      break;
    }
  }
  await writeNodeFiles(tools, request.node, options);
  return { decision, durationMs: Math.round(clock.monotonic() - begun), ...kept, aside, writtenBytes };
}

/** What is beyond the fork is counted before it is written over; a node that follows has nothing there. */
async function tellBeyond(
  { files, stack, onBeyond }: RejoinTools,
  node: NodeName,
  { facts, decision }: { readonly facts: RejoinFacts; readonly decision: RejoinDecision },
  options: CallOptions,
): Promise<void> {
  if (facts.node === undefined || onBeyond === undefined) return;
  const { timeline, walEnd } = facts.node;
  if (decision.kind === "follow") {
    const part = facts.upstream?.lineage.find((each) => each.timeline === timeline);
    if (part?.to !== undefined) onBeyond({ node, fork: part.to, end: walEnd ?? part.to, commits: 0 });
  }
  const { lineage } = facts.node;
  if (decision.kind !== "delta" || decision.own?.fork === undefined || lineage === undefined) return;
  const folder = stack.place.dataOf(node);
  const { walSegmentBytes } = parseControlFile(await files.readFile(path.join(folder, CONTROL_FILE_PATH)));
  // In the segment where a timeline begins is what came before, too.
  const timelineAt = (start: Lsn): Timeline => partAt(lineage, lsnAdd(start, walSegmentBytes - 1)).timeline;
  const place = { timelineAt, fork: decision.own.fork, walSegmentBytes };
  const beyond = await lookBeyondFork(files, folder, place, options);
  if (beyond !== undefined) onBeyond({ node, ...beyond });
}

type UpstreamFacts = NonNullable<RejoinFacts["upstream"]> & {
  readonly timeline: Timeline;
  /** What it had when it was asked. */
  readonly flushed: Lsn;
};

/** Asks the primary for its history, and has it keep WAL for the node from now on. */
async function askUpstream(
  { files, stack }: StepTools,
  { node, upstream }: RejoinRequest,
  options: CallOptions,
): Promise<UpstreamFacts> {
  const secrets = await readSecrets(files, stack.place);
  return await withNode(nodeAddress(stack, secrets, upstream), options, async ({ run }) => {
    const [row] = await run(`SELECT pg_is_in_recovery() AS standby,
      (SELECT system_identifier::text FROM pg_control_system()) AS system,
      ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int AS timeline,
      pg_current_wal_flush_lsn()::text AS flushed,
      (SELECT min(substr(name, 9)) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$') AS oldest,
      (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS segment_bytes
      WHERE NOT pg_is_in_recovery()`);
    if (row === undefined) throw refused(`${upstream} is no primary`, "Rebuild after the primary role is settled.");
    const timeline = Number(row["timeline"]) as Timeline;
    const name = `pg_wal/${historyName(timeline)}`;
    const [text] = await run("SELECT pg_read_file($1, 0, 8388608, true) AS history", [name]);
    const history = text?.["history"];
    const lineage: readonly LineagePart[] =
      typeof history === "string"
        ? lineageOf(timeline, parseHistory(timeline, Buffer.from(history)))
        : lineageOf(timeline, []);
    // One that has lost what it kept is refused for ever.
    await run(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
        WHERE slot_name = $1 AND wal_status = 'lost' AND NOT active`,
      [node],
    );
    await run(
      `SELECT pg_create_physical_replication_slot($1, true)
        WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)`,
      [node],
    );
    const oldest = parseSegmentName(`00000001${String(row["oldest"])}`, Number(row["segment_bytes"]));
    assert(oldest !== undefined, "a primary has the WAL that it writes");
    const flushed = parseLsn(String(row["flushed"]));
    return { systemId: String(row["system"]) as SystemId, timeline, lineage, flushed, oldestWal: oldest.start };
  });
}

/** Puts its own WAL aside, by a second name of each file: what is not known to the primary is not thrown away. */
async function keepEvidence(
  { files, stack }: StepTools,
  node: NodeName,
  facts: RejoinFacts,
  decision: RejoinDecision,
): Promise<{ readonly evidence: string | undefined; readonly asideLasts: boolean }> {
  if (decision.kind !== "delta" || decision.own === undefined || facts.node === undefined) return NO_EVIDENCE;
  const dataFolder = stack.place.dataOf(node);
  const { walSegmentBytes } = parseControlFile(await files.readFile(path.join(dataFolder, CONTROL_FILE_PATH)));
  const under = path.join(stack.place.folder, "evidence");
  const { own } = decision;
  const { wasPrimary } = facts.node;
  const kept = await keepWalFrom(files, { ...own, dataFolder, walSegmentBytes, under, name: node });
  if (kept.kind === "none" && wasPrimary) {
    throw refused(
      `${dataFolder} was a primary's, and ${path.join(dataFolder, "pg_wal")} has no WAL of timeline ${own.timeline} to be kept`,
      "Find out where that is. What only this node had is lost with its data folder: remove that to have it restored from the vault.",
    );
  }
  const isWhole = kept.kind !== "kept" || kept.isWhole;
  const evidence = kept.kind === "kept" ? kept.folder : undefined;
  return { evidence, asideLasts: wasPrimary && (own.apart || !isWhole) };
}

/** Brings the folder to the vault's newest point of the primary's timeline. */
async function restoreReplica(
  tools: StepTools,
  request: RejoinRequest,
  {
    upstream,
    data,
    lasting,
    beforeChange,
  }: {
    readonly upstream: UpstreamFacts;
    readonly data: NodeData;
    readonly lasting: boolean;
    readonly beforeChange: () => Promise<void>;
  },
  options: CallOptions,
): Promise<number> {
  const { stack, files, clock, locks, processes, user } = tools;
  const secrets = await readSecrets(files, stack.place);
  const threads = new ChunkThreads();
  // While the passphrase is stretched a core has nothing to do.
  threads.start();
  try {
    const vault = await openStackVault(tools, stack, secrets, { ...options, access: "read" });
    const wal = await heldWal(tools, vault, upstream);
    const restoreTools = { vault, files, clock, locks, threads, wal, onProgress: () => undefined };
    const plan = await planOnTimeline(tools, restoreTools, upstream, options);
    const folder = stack.place.dataOf(request.node);
    const tablespaces = await tablespacesOf(files, folder);
    const follow = replicaConnection(stack, request);
    const place = { folder, tablespaces, owner: user, follow };
    const onCompared = (): void => undefined;
    return await restoreKeepingAside(
      { ...restoreTools, processes, onCompared },
      { stack, node: request.node, data },
      { plan, place, lasting, beforeChange },
      options,
    );
  } finally {
    await threads.stop();
  }
}

async function heldWal({ files, stack }: StepTools, vault: Vault, { systemId }: UpstreamFacts): Promise<HeldWal> {
  const { walSegmentBytes } = parseControlFile(
    await files
      .readFile(path.join(stack.place.dataOf("db"), CONTROL_FILE_PATH))
      .catch(() => files.readFile(path.join(stack.place.dataOf("db_replica"), CONTROL_FILE_PATH))),
  );
  return new HeldWal({ vault, files, spoolFolder: stack.place.spool, systemId }, walSegmentBytes);
}

/** A plan that ends on the primary's timeline, since an older one is another branch beyond the fork, and has what it had. */
async function planOnTimeline(
  { clock, stack }: StepTools,
  restoreTools: Parameters<typeof prepareRestore>[0],
  { systemId, timeline, flushed }: UpstreamFacts,
  options: CallOptions,
): Promise<PricedPlan> {
  const wanted = { systemId, target: { kind: "latest" }, acceptGap: false, timeline } as const;
  // Made anew until enough WAL is there; that of the backup itself is read once.
  const found: MovedFound = new Map();
  const prepare = (): Promise<PricedPlan> => prepareRestore({ ...restoreTools, found }, wanted, options);
  const config = path.join(stack.place.configOf("receiver"), LIFEBOAT_CONFIG);
  const backup = `lifeboat --config ${shellQuoted(config)} backup`;
  const caughtUp = { needed: flushed, prepare, endOf: plannedReach, lacks: lackedBy, backup };
  return await prepareCaughtUp(clock, caughtUp, options);
}

/** A backup that an earlier version announced though a database was moved under it, where no other serves. */
function lackedBy({ backup, doubts }: PricedPlan): string | undefined {
  const copy = doubts.moved.get(backup.backupId);
  return copy && `backup ${backup.backupId} may lack a database: ${databaseMoved(copy).message}`;
}

/** The signal first: from then on the folder starts as a standby, whoever starts it. */
async function writeStandbyFiles({ files, stack, user }: StepTools, request: RejoinRequest): Promise<void> {
  const folder = stack.place.dataOf(request.node);
  const owned = user === undefined ? files : filesOwnedBy(files, user);
  const wanted = standbyFiles(replicaConnection(stack, request)).toSorted((a) => (a.how === "new" ? -1 : 1));
  for (const { path: name, text, how, mode } of wanted) {
    const file = path.join(folder, name);
    const before =
      how === "append" && (await files.stat(file)) !== undefined ? await files.readFile(file) : Buffer.alloc(0);
    const parts = [before, Buffer.from(text)];
    await writeDurable(owned, { file, parts, over: "replace", permissions: mode, unique: "lifeboat" });
  }
  await files.remove(path.join(folder, "recovery.signal"));
}

function refused(message: string, remedy: string, cause?: LifeboatError): LifeboatError {
  return new LifeboatError("stack.rejoin-refused", { message, remedy, cause });
}
