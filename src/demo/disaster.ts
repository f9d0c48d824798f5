/**
 * The disaster of the demo and the way back: the server's processes and the receiver are killed, the data directory is
 * deleted, and the clocks run until the client's writes are acknowledged again.
 *
 * Clocks: the outage begins with the first request that fails (by its scheduled arrival) or with the kill, whichever is
 * earlier, and ends with the first acknowledged write. The client counts its own time from the wall clock at its start,
 * as we do here, so its moments and ours can be compared.
 */
import { assert, LifeboatError } from "../errors/error.ts";
import type { Clock, Monotonic } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import type { SystemId } from "../postgres/lsn.ts";
import type { LocalServer } from "../postgres/server.ts";
import type { ProbeReport } from "../probe/measurements.ts";
import type { ProbeProcess } from "../probe/process.ts";
import { type RecoveryFacts, type RecoveryPart, recoveryOf } from "./facts.ts";
import type { ReceiverProcess } from "./receiver.ts";
import { readSystemId } from "./servers.ts";
import type { WallClock } from "./stage.ts";

type CallOptions = { readonly signal: AbortSignal };

const LOOK_INTERVAL_MS = 20;
/** The client's own deadlines are far shorter. */
const CLIENT_TIMEOUT_MS = 60_000;

/** What a disaster strikes, and who sees it. */
export type Scene = {
  readonly files: Files;
  readonly clock: Clock;
  readonly wall: WallClock;
  readonly server: LocalServer;
  readonly systemId: SystemId;
  readonly receiver: ReceiverProcess;
  readonly client: ProbeProcess;
};

/** A disaster that was noticed. */
export type Outage = {
  /** What the client had seen just before. */
  readonly before: ProbeReport;
  readonly killedMs: number;
  readonly beganMs: number;
  readonly noticedAt: Monotonic;
  readonly reason: string;
};

/** Kills the server and the receiver, deletes the data directory, and waits until the client's requests fail. */
export async function strike(scene: Scene, options: CallOptions): Promise<Outage> {
  const { files, server, receiver, client, clock, wall } = scene;
  const folder = server.setup.dataFolder;
  // It was made by this demo, below its own folder; that it is still the same is looked at all the same.
  assert((await readSystemId(files, folder)) === scene.systemId, `${folder} is the cluster that this demo made`);
  const before = await client.mark(options);
  const killedMs = wall.nowMs();
  await server.kill();
  // The receiver too: what it had not synced by now is gone, as if it had still been on its way.
  await receiver.kill();
  await files.removeTree(folder);
  const failed = (report: ProbeReport) => report.writes.window.firstFailedMs !== undefined;
  const failing = await untilReport(scene, { what: "a failed write", seen: failed }, options);
  const noticedAt = clock.monotonic();
  const beganMs = Math.min(killedMs, failing.writes.window.firstFailedMs ?? killedMs);
  return { before, killedMs, beganMs, noticedAt, reason: failing.writes.window.firstFailedReason ?? "no answer" };
}

/** Leads the client to the restored server and closes the clocks. `parts` begin at `outage.noticedAt`. */
export async function resume(
  scene: Scene,
  outage: Outage,
  restored: { readonly server: LocalServer; readonly readyAt: Monotonic; readonly parts: readonly RecoveryPart[] },
  options: CallOptions,
): Promise<RecoveryFacts> {
  const { wall } = scene;
  const { host, port } = restored.server.address({ over: "tcp" });
  await scene.client.reconnectTo({ host, port }, options);
  const readyMs = wall.at(restored.readyAt);
  // A write acknowledged before the kill may have been counted after the mark.
  const acknowledged = ({ writes }: ProbeReport) => (writes.window.lastAcknowledgedMs ?? 0) > readyMs;
  const healthy = await untilReport(scene, { what: "an acknowledged write", seen: acknowledged }, options);
  // The longest time without an acknowledged write is the outage, and it ends with the first of them.
  const endedMs = Math.max(readyMs, healthy.writes.window.longestGap.toMs);
  const noticedMs = wall.at(outage.noticedAt);
  return recoveryOf([
    { what: "notice that writes fail", durationMs: noticedMs - outage.beganMs },
    ...restored.parts,
    { what: "client's first acknowledged write", durationMs: endedMs - readyMs },
  ]);
}

async function untilReport(
  { client, clock }: Scene,
  wanted: { readonly what: string; readonly seen: (report: ProbeReport) => boolean },
  options: CallOptions,
): Promise<ProbeReport> {
  const deadline = clock.monotonic() + CLIENT_TIMEOUT_MS;
  for (;;) {
    const report = await client.status(options);
    if (wanted.seen(report)) return report;
    if (clock.monotonic() > deadline) {
      const reasons = Object.entries({ ...report.writes.failedReasons, ...report.connectReasons });
      throw new LifeboatError("probe.process-failed", {
        message: `the client process ${client.pid} did not report ${wanted.what} within ${CLIENT_TIMEOUT_MS} ms; its failures: ${reasons.map(([why, count]) => `${why} ${count} times`).join(", ") || "none"}`,
        remedy: "Run the demo again with --keep and look at the servers' logs in its folder.",
      });
    }
    await clock.sleep(LOOK_INTERVAL_MS, options);
  }
}
