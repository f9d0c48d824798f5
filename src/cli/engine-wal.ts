/** What `wal receive`, `wal status`, `wal get`, `wal feed` and `points` do. */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Instant } from "../platform/clock.ts";
import { replaceVolatile } from "../platform/durable.ts";
import { comeForward, poolStandsBack } from "../platform/priority.ts";
import { currentUid } from "../platform/run-as.ts";
import { lsnAdd, lsnDistance, parseLsn, segmentName, segmentStart, type Timeline } from "../postgres/lsn.ts";
import type { ReplicationConnection } from "../postgres/replication.ts";
import { openReplication } from "../postgres/replication-connection.ts";
import { HeldWal } from "../restore/held-wal.ts";
import { feedUntilRecovered, readFeed } from "../restore/wal-feeder.ts";
import { checkProtected } from "../stack/protected-server.ts";
import { listBackups } from "../vault/backups.ts";
import { KeptKeys } from "../vault/kept-keys.ts";
import type { Vault } from "../vault/vault.ts";
import { listSystems } from "../vault/wal-store.ts";
import { lastCommitTime } from "../wal/commit-times.ts";
import { fetchForServer } from "../wal/get-for-server.ts";
import { addressUnder } from "../wal/mandate.ts";
import { createReceiver } from "../wal/receiver.ts";
import { walTimeToInstant } from "../wal/records/events.ts";
import { readEvents, type WalSource } from "../wal/records/reader.ts";
import { type RecoveryPoints, type RecoveryRange, recoveryPoints } from "../wal/recovery-points.ts";
import { type ReceiverStatus, readReceiverStatus } from "../wal/report.ts";
import { openForReceiver } from "../wal/sender-timeout.ts";
import { governBySocket } from "../witness/control.ts";
import { connectsWithNewestPassword } from "./changed-password.ts";
import { openConfiguredVault, serverConnection } from "./compose.ts";
import { MACHINE, uniqueName } from "./engine-machine.ts";
import { meantServer } from "./engine-server.ts";
import { chooseSystem, segmentBytesOf, walSources } from "./engine-system.ts";
import { ofMeantStack } from "./meant-stack.ts";
import type { FindPoints, Points, PointsGap, PointsRange } from "./points.ts";
import type { GetWal, LookAtWal, ReceiveWal, WalStatus } from "./wal.ts";
import type { FeedRecovery } from "./wal-feed.ts";

/**
 * A segment takes a processor for a fifth of a second until it is stored, and commits wait meanwhile for the same one. A third of
 * their share, where they want it: enough to store more WAL than such a machine writes beside that.
 */
const STORING_NICE = 5;
/** Commits wait for what the first thread does, which takes a tenth of a millisecond for each; where that is permitted, it goes first. */
const CONFIRMING_NICE = -5;

/** Receives until stopped. */
export const receiveWal: ReceiveWal = async (call) => {
  const { config, session } = call;
  await poolStandsBack(STORING_NICE);
  comeForward(CONFIRMING_NICE);
  // Nobody is at the terminal any more when a rotation has made a new data key.
  const unattended = { config, session: { ...session, prompt: undefined } };
  const { vault, renew } = new KeptKeys(await openConfiguredVault(call, "write"), {
    clock: session.clock,
    reopen: () => openConfiguredVault(unattended, "write"),
    onLeftOut: (why) =>
      session.notice(
        `warning: the vault has a newer data key, which the receiver does not open${why === undefined ? "" : ` (${why})`}: it goes on with the newest that it opens, and tries again every ten minutes`,
      ),
    onCaughtUp: () => session.notice("the receiver opens every data key of the vault again, and seals with the newest"),
  });
  const readAddress = () => serverConnection(call, config.receiver.applicationName);
  const connect = connectsWithNewestPassword<ReplicationConnection>(readAddress, await readAddress());
  const receiver = createReceiver(
    {
      ...MACHINE,
      vault,
      renewKeys: renew,
      clock: session.clock,
      connect: ({ mandate, signal }) =>
        connect((address) => {
          const open = (senderTimeoutMs?: number) =>
            openReplication({ ...addressUnder(mandate, address), senderTimeoutMs }, { signal });
          // One that is slow on purpose would be ended again and again.
          return config.receiver.delay > 0 ? open() : openForReceiver(open, { signal });
        }),
      govern: (open) => governBySocket({ files: MACHINE.files, uid: currentUid() }, config.folders.spool, open),
    },
    {
      spoolFolder: config.folders.spool,
      slot: config.receiver.slot,
      applicationName: config.receiver.applicationName,
      pid: process.pid,
      statusIntervalMs: config.receiver.statusInterval,
      delayMs: config.receiver.delay,
      onMode: (mode) => {
        // The command ends with it, and says why.
        if (mode === "failed") return;
        const { lastError, flushedLsn } = receiver.report();
        const why = lastError === null || mode === "streaming" ? "" : `: ${lastError.message} (${lastError.code})`;
        session.notice(`receiver ${mode} at ${flushedLsn}${why}`);
      },
    },
  );
  const stop = (): void => {
    // The rejection, if any, comes out of `ended`.
    void receiver.stop().catch(() => undefined);
  };
  session.signal.addEventListener("abort", stop, { once: true });
  try {
    await receiver.start({ signal: session.signal });
    await receiver.ended;
  } catch (error) {
    if (!isLifeboatError(error, "platform.aborted")) throw error;
  } finally {
    session.signal.removeEventListener("abort", stop);
    await receiver.stop();
  }
  const report = receiver.report();
  const confirmed =
    report.timeline === null ? undefined : { timeline: report.timeline as Timeline, lsn: parseLsn(report.flushedLsn) };
  return { confirmed, segmentsWaiting: report.segmentsWaiting };
};

/** Looks at receiver, spool and server. */
export const lookAtWal: LookAtWal = async (asked) => walOf(await ofMeantStack(asked));

/** The same of settings that are those of the stack that is meant. */
export async function walOf(call: Parameters<LookAtWal>[0]): Promise<WalStatus> {
  const { receiver, reportAgeMs } = await lookAtReceiver(call);
  return { receiver, reportAgeMs, server: await lookAtServer(call, receiver) };
}

/** What the spool's receiver says of itself, and how long ago it did. */
export async function lookAtReceiver(
  call: Parameters<LookAtWal>[0],
): Promise<Pick<WalStatus, "receiver" | "reportAgeMs">> {
  const receiver = await readReceiverStatus(MACHINE, call.config.folders.spool);
  if (receiver.kind !== "running") return { receiver, reportAgeMs: undefined };
  return { receiver, reportAgeMs: call.session.clock.now() - Date.parse(receiver.report.updatedAt) };
}

async function lookAtServer(call: Parameters<LookAtWal>[0], receiver: ReceiverStatus): Promise<WalStatus["server"]> {
  const { config, session } = call;
  const options = { signal: session.signal };
  try {
    const { address, terms } = await meantServer(call, "lifeboat_status");
    const connection = await openReplication(address, options);
    try {
      const identity = await connection.identifySystem(options);
      checkProtected(identity, terms);
      const slot = await connection.readSlot(config.receiver.slot, options);
      const flushed = receiver.kind === "never-ran" ? undefined : parseLsn(receiver.report.flushedLsn);
      return {
        kind: "reached",
        systemId: identity.systemId,
        lsn: identity.flushedLsn,
        lagBytes: flushed === undefined ? undefined : lsnDistance({ from: flushed, to: identity.flushedLsn }),
        slot: slot === undefined ? "missing" : slot.restartLsn === undefined ? "keeps nothing" : "keeps WAL",
      };
    } finally {
      await connection.close();
    }
  } catch (error) {
    if (!(error instanceof LifeboatError) || error.code === "platform.aborted") throw error;
    return { kind: "unreachable", reason: error };
  }
}

/** Puts one file of WAL where PostgreSQL asked for it. */
export const getWal: GetWal = async (call) => {
  const { config, session, name, destination, mode, system } = call;
  const options = { signal: session.signal };
  const vault = await openConfiguredVault(call, "read");
  const systemId = await chooseSystem(vault, system, options);
  const answer = await fetchForServer(walSources(vault, config, systemId), { name, mode }, options);
  if (answer.kind === "unknown") return { kind: "unknown", reason: answer.error };
  if (answer.kind === "found") {
    const file = { file: destination, bytes: answer.bytes, unique: uniqueName(), permissions: 0o600 };
    await replaceVolatile(MACHINE.files, file);
  }
  return { kind: answer.kind };
};

/** Feeds a recovery until it has ended. */
export const feedRecovery: FeedRecovery = async (call) => {
  const { config, session, targetFolder } = call;
  const options = { signal: session.signal };
  const feed = await readFeed(MACHINE.files, targetFolder);
  const vault = await openConfiguredVault(call, "read");
  const systemId = await chooseSystem(vault, feed.systemId, options);
  const wal = new HeldWal(walSources(vault, config, systemId), feed.walSegmentBytes);
  const total = feed.segments.length * feed.walSegmentBytes;
  const onSegment = (doneCount: number): void =>
    session.progress.report({ phase: "feeding WAL", done: doneCount * feed.walSegmentBytes, total });
  const reached = await feedUntilRecovered({ ...MACHINE, clock: session.clock, wal, onSegment }, feed, options);
  return { targetFolder, reached };
};

/** Finds what can be restored. */
export const findPoints: FindPoints = async (call) => {
  return pointsOf(await openConfiguredVault(call, "read"), { ...call, looksBehind: true });
};

/** What can be restored from an opened vault and this machine's spool; with `looksBehind` also what newer timelines left. */
export async function pointsOf(
  vault: Vault,
  call: Parameters<FindPoints>[0] & { readonly looksBehind?: boolean },
): Promise<Points & Pick<RecoveryPoints, "outOfReach" | "unreached">> {
  const { config, session } = call;
  const options = { signal: session.signal };
  const ranges: PointsRange[] = [];
  const gaps: PointsGap[] = [];
  const outOfReach: PointsGap[] = [];
  const unreached: RecoveryPoints["unreached"][number][] = [];
  const untold: RecoveryPoints["untold"][number][] = [];
  const leftBehind: PointsRange[] = [];
  const stranded: string[] = [];
  for (const systemId of await listSystems(vault, options)) {
    const listing = await listBackups(vault, { systemId }, options);
    const walSegmentBytes = await segmentBytesOf(listing, config, systemId);
    if (walSegmentBytes === undefined) continue;
    const wal = new HeldWal(walSources(vault, config, systemId), walSegmentBytes);
    const points = recoveryPoints(listing.backups, await wal.holdings(options));
    gaps.push(...points.gaps);
    outOfReach.push(...points.outOfReach);
    unreached.push(...points.unreached);
    untold.push(...points.untold);
    stranded.push(...points.stranded.map((backup) => backup.backupId));
    const of = { wal, walSegmentBytes };
    for (const range of points.ranges) ranges.push(await timed(range, of, options));
    for (const range of call.looksBehind === true ? points.leftBehind : []) {
      const fromTime = await firstCommitTime(range, of, options);
      // The end of a record that was cut short, or one without a commit, is nothing that anybody would miss.
      if (fromTime !== undefined) leftBehind.push({ ...(await timed(range, of, options)), fromTime });
    }
  }
  return { ranges, gaps, outOfReach, unreached, untold, leftBehind, stranded };
}

/** Of the first commit that ends in a range, which begins where its timeline was left. */
async function firstCommitTime(
  { timeline, from, to }: RecoveryRange,
  { wal, walSegmentBytes }: { readonly wal: HeldWal; readonly walSegmentBytes: number },
  options: { readonly signal: AbortSignal },
): Promise<Instant | undefined> {
  const source: WalSource = {
    walSegmentBytes,
    timelineAt: () => timeline,
    readSegment: (name) => wal.segment(name, options),
  };
  for await (const event of readEvents(source, { from: segmentStart(from, walSegmentBytes), limit: to }, options)) {
    if (event.kind === "commit" && event.end > from) return walTimeToInstant(event.time);
  }
  return undefined;
}

/** How far back commits are looked for from the end of a range. */
const LOOK_BACK_SEGMENTS = 8;

async function timed(
  range: RecoveryRange,
  of: { readonly wal: HeldWal; readonly walSegmentBytes: number },
  options: { readonly signal: AbortSignal },
): Promise<PointsRange> {
  const { walSegmentBytes, wal } = of;
  const names: string[] = [];
  let at = segmentStart(lsnAdd(range.to, -1), walSegmentBytes);
  for (let count = 0; count < LOOK_BACK_SEGMENTS && at + BigInt(walSegmentBytes) > range.from; count += 1) {
    names.unshift(segmentName({ timeline: range.timeline, lsn: at, walSegmentBytes }));
    at = lsnAdd(at, -walSegmentBytes);
  }
  const ended = range.backups.map((backup) => Date.parse(backup.endedAt) as Instant);
  const { systemId, timeline, from, to, backups } = range;
  return {
    systemId,
    timeline,
    from,
    to,
    fromTime: ended.length === 0 ? undefined : (Math.min(...ended) as Instant),
    toTime: await lastCommitTime(wal, names, options),
    backupIds: backups.map((backup) => backup.backupId),
  };
}
