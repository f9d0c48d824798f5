/**
 * Replication for the node exporter's textfile collector: one view as text in the format of Prometheus, version 0.0.4.
 *
 * The names without `lifeboat_` are those of the runbook's own monitor, with their meaning: `pg_replication_lag_seconds` is -1
 * when disconnected. Pure, but for the writing.
 * Source: Prometheus documentation, "Exposition formats"; node_exporter, "Textfile Collector".
 */
import { replaceVolatile } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { RandomSource } from "../platform/random.ts";
import type { ConfirmerView, Lag, ReplicationView } from "./decide.ts";
import { STAGES } from "./facts.ts";

/** What the runbook calls a confirmer that is not connected. */
const DISCONNECTED = -1;
const MS_PER_SECOND = 1_000;

type Labels = Readonly<Record<string, string>>;
type Sample = { readonly labels: Labels; readonly value: number | undefined };
type Metric = {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  readonly samples: readonly Sample[];
};

/** Writes the file so that a reader sees the old text or the new. Rejects with what the file system does. */
export async function writeMetrics(
  { files, random }: { readonly files: Files; readonly random: RandomSource },
  file: string,
  view: ReplicationView,
): Promise<void> {
  await replaceVolatile(files, { file, bytes: Buffer.from(formatMetrics(view)), unique: random(8).toString("hex") });
}

/** The text. What is not known has no sample: an absent series is noticed, a made-up number is not. */
export function formatMetrics(view: ReplicationView): string {
  return metricsOf(view)
    .filter(({ samples }) => samples.some(({ value }) => value !== undefined))
    .map(formatMetric)
    .join("");
}

function metricsOf(view: ReplicationView): readonly Metric[] {
  const replicas = view.confirmers.filter(({ kind }) => kind === "replica");
  return [
    ...seedMetrics(replicas),
    ...confirmerMetrics(view.confirmers),
    ...slotMetrics(view.confirmers),
    ...nodeMetrics(view),
  ];
}

function seedMetrics(replicas: readonly ConfirmerView[]): readonly Metric[] {
  return [
    {
      name: "pg_replication_lag_seconds",
      type: "gauge",
      help: "Age of the oldest WAL that the replica has not replayed, by heartbeat; -1 when disconnected.",
      samples: replicas.map(({ name, lag }) => ({ labels: { standby: name }, value: secondsOf(lag.replay) })),
    },
    {
      name: "pg_replication_status",
      type: "gauge",
      help: "1 when the replica is connected to the primary, else 0.",
      samples: replicas.map(({ name, connected }) => ({ labels: { standby: name }, value: connected ? 1 : 0 })),
    },
  ];
}

function confirmerMetrics(confirmers: readonly ConfirmerView[]): readonly Metric[] {
  const perStage = (measure: (lag: Lag) => number | undefined): readonly Sample[] =>
    confirmers.flatMap(({ name, kind, lag }) =>
      STAGES.filter((stage) => kind === "replica" || stage !== "replay").map((stage) => ({
        labels: { standby: name, stage },
        value: measure(lag[stage]),
      })),
    );
  return [
    {
      name: "lifeboat_replication_lag_seconds",
      type: "gauge",
      help: "Age of the oldest WAL that is not written, flushed or replayed there, by heartbeat; -1 when disconnected.",
      samples: perStage(secondsOf),
    },
    {
      name: "lifeboat_replication_lag_bytes",
      type: "gauge",
      help: "WAL that is not written, flushed or replayed there; -1 when disconnected.",
      samples: perStage(bytesOf),
    },
    {
      name: "lifeboat_replication_connected",
      type: "gauge",
      help: "1 when the confirmer is connected to the primary, else 0.",
      samples: confirmers.map(({ name, connected }) => ({ labels: { standby: name }, value: connected ? 1 : 0 })),
    },
    {
      name: "lifeboat_replication_synchronous",
      type: "gauge",
      help: "1 when commits can wait for the confirmer, else 0.",
      samples: confirmers.map(({ name, syncState }) => ({
        labels: { standby: name },
        value: syncState === "quorum" || syncState === "sync" ? 1 : 0,
      })),
    },
    {
      name: "lifeboat_replication_replay_paused",
      type: "gauge",
      help: "1 when replay is paused on the replica, else 0.",
      samples: confirmers
        .filter(({ conflicts }) => conflicts !== undefined)
        .map(({ name, replayPaused }) => ({ labels: { standby: name }, value: replayPaused ? 1 : 0 })),
    },
    {
      name: "lifeboat_replication_heard_seconds",
      type: "gauge",
      help: "Time since the replica heard from its primary, by its own clock.",
      samples: confirmers.map(({ name, reception }) => ({
        labels: { standby: name },
        value: reception?.receivedAgoMs === undefined ? undefined : reception.receivedAgoMs / MS_PER_SECOND,
      })),
    },
    {
      name: "lifeboat_replication_conflicts_total",
      type: "counter",
      help: "Queries on the replica that replay had to cancel, by cause.",
      samples: confirmers.flatMap(({ name, conflicts = {} }) =>
        Object.entries(conflicts).map(([cause, value]) => ({ labels: { standby: name, cause }, value })),
      ),
    },
  ];
}

function slotMetrics(confirmers: readonly ConfirmerView[]): readonly Metric[] {
  const perSlot = (measure: (confirmer: ConfirmerView) => number | undefined): readonly Sample[] =>
    confirmers.map((confirmer) => ({ labels: { slot: confirmer.slot }, value: measure(confirmer) }));
  return [
    {
      name: "lifeboat_replication_slot_kept_bytes",
      type: "gauge",
      help: "WAL that the primary keeps for the slot.",
      samples: perSlot(({ slotView }) => slotView?.keptBytes),
    },
    {
      name: "lifeboat_replication_slot_safe_bytes",
      type: "gauge",
      help: "WAL that may still be written before the slot loses its own; absent without a limit.",
      samples: perSlot(({ slotView }) => slotView?.safeBytes),
    },
    {
      name: "lifeboat_replication_slot_active",
      type: "gauge",
      help: "1 when a connection holds the slot, else 0.",
      samples: perSlot(({ slotView }) => (slotView === undefined ? undefined : slotView.active ? 1 : 0)),
    },
    {
      name: "lifeboat_replication_slot_lost",
      type: "gauge",
      help: "1 when the slot has lost its WAL or is about to, else 0.",
      samples: perSlot(({ slotView }) =>
        slotView === undefined
          ? undefined
          : slotView.walStatus === "lost" || slotView.walStatus === "unreserved"
            ? 1
            : 0,
      ),
    },
  ];
}

function nodeMetrics(view: ReplicationView): readonly Metric[] {
  return [
    {
      name: "lifeboat_replication_node_reachable",
      type: "gauge",
      help: "1 when the node answered a new session, else 0.",
      samples: view.nodes.map(({ name, kind }) => ({ labels: { node: name }, value: kind === "unreachable" ? 0 : 1 })),
    },
    {
      name: "lifeboat_replication_node_primary",
      type: "gauge",
      help: "1 when the node takes writes, else 0. A sum above 1 is a split brain.",
      samples: view.nodes.map(({ name, kind }) => ({ labels: { node: name }, value: kind === "primary" ? 1 : 0 })),
    },
    {
      name: "lifeboat_replication_timeline",
      type: "gauge",
      help: "The primary's timeline.",
      samples: [{ labels: {}, value: view.timeline }],
    },
    {
      name: "lifeboat_replication_faults",
      type: "gauge",
      help: "How much is wrong; lifeboat replication says what.",
      samples: [{ labels: {}, value: view.faults.length }],
    },
    {
      name: "lifeboat_replication_seen_timestamp_seconds",
      type: "gauge",
      help: "When all this was seen. An old one: the watcher is gone.",
      samples: [{ labels: {}, value: view.at / MS_PER_SECOND }],
    },
  ];
}

function secondsOf(lag: Lag): number | undefined {
  if (lag.kind === "disconnected") return DISCONNECTED;
  return lag.kind === "unknown" ? undefined : lag.ms / MS_PER_SECOND;
}

function bytesOf(lag: Lag): number | undefined {
  if (lag.kind === "disconnected") return DISCONNECTED;
  return lag.kind === "unknown" ? undefined : lag.bytes;
}

function formatMetric({ name, type, help, samples }: Metric): string {
  const lines = samples.flatMap(({ labels, value }) =>
    value === undefined ? [] : [`${name}${formatLabels(labels)} ${formatValue(value)}`],
  );
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ""].join("\n");
}

function formatLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

/** Milliseconds are as exact as any of it is. */
function formatValue(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(3);
}
