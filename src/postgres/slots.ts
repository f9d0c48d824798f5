/**
 * The replication slots of a server, and what each is about to cost: the WAL that whoever reads from it still needs, or the server's
 * disk. Observed by one statement, judged by facts alone.
 */
import { describeByteSize } from "../units/byte-size.ts";
import { describeDuration } from "../units/duration.ts";
import type { QueryRow } from "./query-connection.ts";
import { quoteLiteral } from "./wire/outgoing.ts";

/** A slot as pg_replication_slots shows it. */
export type ReplicationSlot = {
  readonly name: string;
  readonly slotType: string;
  readonly active: boolean;
  /** reserved, extended, unreserved or lost; null for a slot that keeps nothing. */
  readonly walStatus: string | null;
  /** WAL that the server cannot remove because of it; null where it keeps nothing. */
  readonly keptBytes: number | null;
  /** How long nobody has read from it; null while somebody does, and below PostgreSQL 17, which does not tell. */
  readonly idleMs: number | null;
  /** Of 17 on: why it is lost. */
  readonly lostBy: string | null;
};

/** All slots, and what a server does about them. */
export type SlotsSeen = {
  /** WAL beyond which a slot is given up (max_slot_wal_keep_size); null: none is. */
  readonly limitBytes: number | null;
  /** WAL that the server is set to have room for in any case. */
  readonly roomBytes: number;
  readonly slots: readonly ReplicationSlot[];
};

/** What a slot is about to cost, or has. */
export type SlotRisk = {
  readonly kind: "slot-lost" | "slot-unreserved" | "slot-idle" | "slot-forgotten";
  readonly slot: string;
  readonly message: string;
  readonly remedy: string;
};

/** Who reads from the receiver's slot can be named. */
export type SlotReader = {
  readonly slot: string;
  /** How it is started, as a command. */
  readonly start: string;
};

/** More than a server is set to have (max_replication_slots). Those that keep most come first. */
const SLOTS_SEEN_MAX = 1_000;

/**
 * One row. Columns of the view differ from major to major: what a version does not have is missing in the JSON. Sizes are computed by the
 * server, which alone knows its units; on a standby there is no current position but the replayed one.
 */
export const SLOTS_SQL = `SELECT pg_size_bytes(current_setting('max_slot_wal_keep_size'))::float8 AS limit_bytes,
  greatest(pg_size_bytes(current_setting('max_wal_size')), pg_size_bytes(current_setting('wal_keep_size')))::float8 AS room_bytes,
  (SELECT jsonb_agg(slot || jsonb_build_object('kept', kept,
      'idle_ms', extract(epoch FROM clock_timestamp() - (slot->>'inactive_since')::timestamptz) * 1000))
    FROM (SELECT to_jsonb(s) AS slot, pg_wal_lsn_diff(greatest(restart_lsn,
        CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END), restart_lsn)::float8 AS kept
      FROM pg_replication_slots s ORDER BY kept DESC NULLS FIRST, slot_name LIMIT ${SLOTS_SEEN_MAX}) AS each) AS slots`;

/** Reads what was answered. */
export function readSlots(row: QueryRow | undefined): SlotsSeen {
  const limitBytes = Number(row?.["limit_bytes"]);
  const slots = (row?.["slots"] ?? []) as readonly QueryRow[];
  return {
    limitBytes: limitBytes < 0 ? null : limitBytes,
    roomBytes: Number(row?.["room_bytes"]),
    slots: slots.map((slot) => ({
      name: String(slot["slot_name"]),
      slotType: String(slot["slot_type"]),
      active: slot["active"] === true,
      walStatus: textOf(slot["wal_status"]),
      keptBytes: numberOf(slot["kept"]),
      idleMs: slot["active"] === true ? null : numberOf(slot["idle_ms"]),
      lostBy: textOf(slot["invalidation_reason"]),
    })),
  };
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" ? Math.round(value) : null;
}

/** From one day to the next somebody would have seen that it is not read from. */
const FORGOTTEN_MS = 24 * 3_600_000;
/** Four segments: more than a slot keeps that nothing was written behind. */
const FORGOTTEN_BYTES_MIN = 64 * 1_048_576;

/** What slots are about to cost, in their order. */
export function slotRisks(seen: SlotsSeen, receiver: SlotReader): readonly SlotRisk[] {
  return seen.slots.flatMap((slot) => {
    const risk = riskOf(slot, seen);
    return risk === undefined ? [] : [{ ...risk, slot: slot.name, remedy: remedyOf(slot, risk.kind, receiver) }];
  });
}

function riskOf(
  { name, active, walStatus, keptBytes, idleMs, lostBy }: ReplicationSlot,
  { limitBytes, roomBytes }: SlotsSeen,
): Pick<SlotRisk, "kind" | "message"> | undefined {
  if (walStatus === "lost") {
    const why = lostBy === null || lostBy === "wal_removed" ? "the server has removed WAL that was not read" : lostBy;
    return { kind: "slot-lost", message: `slot ${name} is invalidated: ${why}` };
  }
  if (keptBytes === null) return undefined;
  const kept = describeByteSize(keptBytes);
  if (walStatus === "unreserved") {
    const most = limitBytes === null ? "" : `, and the server keeps at most ${describeByteSize(limitBytes)} for it`;
    return { kind: "slot-unreserved", message: `slot ${name} is about to lose WAL: it is behind by ${kept}${most}` };
  }
  if (active) return undefined;
  const since = idleMs === null ? "" : ` for ${describeDuration(idleMs)}`;
  const idle = `nobody reads from slot ${name}${since}: it holds back ${kept} of WAL`;
  const end = limitBytes === null ? "nothing limits it" : `it is invalidated at ${describeByteSize(limitBytes)}`;
  if (keptBytes > roomBytes) {
    return { kind: "slot-idle", message: `${idle}, room is set for ${describeByteSize(roomBytes)}, and ${end}` };
  }
  if (limitBytes === null && idleMs !== null && idleMs >= FORGOTTEN_MS && keptBytes >= FORGOTTEN_BYTES_MIN) {
    return { kind: "slot-forgotten", message: `${idle}, and ${end}` };
  }
  return undefined;
}

function remedyOf({ name }: ReplicationSlot, kind: SlotRisk["kind"], receiver: SlotReader): string {
  const drop = `SELECT pg_drop_replication_slot(${quoteLiteral(name)});`;
  const isOurs = name === receiver.slot;
  if (kind === "slot-lost") {
    return isOurs
      ? `${drop} Then start the receiver and take a backup: lifeboat backup.`
      : `${drop} Then make anew what read from it.`;
  }
  if (kind === "slot-unreserved") {
    return `${isOurs ? "Start the receiver now" : "Have what reads from it catch up now"}, or raise max_slot_wal_keep_size.`;
  }
  return isOurs
    ? `Start the receiver: ${receiver.start}.`
    : `Start what reads from it; where nobody does any more: ${drop}`;
}
