/** The target of `lifeboat restore`, as the command line says it and as JSON tells it. */
import type { ValueKind } from "../config/value-kind.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import { formatLsn, type Lsn, parseLsn, type Timeline } from "../postgres/lsn.ts";
import {
  describeTarget,
  type PlannedStop,
  RESTORE_POINT_BYTES_MAX,
  type RecoveryTarget,
  type StopRecord,
} from "../restore/target.ts";
import { formatWalTime } from "../wal/records/events.ts";
import { usageError } from "./failure.ts";

/** What `--to` takes. */
export const TARGET_WORDS = ["latest", "time", "lsn", "xid", "name", "immediate"] as const;

/** What the command line says of the target. */
type TargetOptions = {
  readonly to?: (typeof TARGET_WORDS)[number] | undefined;
  readonly toTime?: Instant | undefined;
  readonly toLsn?: Lsn | undefined;
  readonly toXid?: bigint | undefined;
  readonly toName?: string | undefined;
  readonly immediate?: boolean;
  readonly exclusive?: boolean;
};

/** The target that the options say. Throws `config.usage` when they contradict each other. */
export function targetOf(options: TargetOptions): RecoveryTarget {
  const inclusive = options.exclusive !== true;
  const given: RecoveryTarget[] = [];
  if (options.toTime !== undefined) given.push({ kind: "time", time: options.toTime, inclusive });
  if (options.toLsn !== undefined) given.push({ kind: "lsn", lsn: options.toLsn, inclusive });
  if (options.toXid !== undefined) given.push({ kind: "xid", xid: options.toXid, inclusive });
  if (options.toName !== undefined) given.push({ kind: "name", name: checkedName(options.toName) });
  if (options.immediate === true) given.push({ kind: "immediate" });
  const [target, second] = given;
  if (target !== undefined && second !== undefined) {
    throw usageError(`${flagOf(target)} and ${flagOf(second)} contradict each other`, "Give one of them.");
  }
  const { to } = options;
  if (to !== undefined && target !== undefined && to !== target.kind) {
    throw usageError(`--to ${to} and ${flagOf(target)} contradict each other`, "Give one of them.");
  }
  if (target === undefined && to !== undefined && to !== "latest" && to !== "immediate") {
    throw usageError(`--to ${to} does not say which`, `Add --to-${to}, for example --to-${to} ${EXAMPLES[to]}.`);
  }
  const settled = target ?? { kind: to === "immediate" ? "immediate" : "latest" };
  if (!inclusive && !("inclusive" in settled)) {
    throw usageError(
      `--exclusive with ${describeTarget(settled)}: there is nothing to leave out`,
      "Leave --exclusive out, or add --to-time, --to-lsn or --to-xid.",
    );
  }
  return settled;
}

const EXAMPLES = { time: "2026-01-01T03:00:00Z", lsn: "0/3000060", xid: "81274", name: "before_import" } as const;

function flagOf(target: RecoveryTarget): string {
  return target.kind === "immediate" ? "--immediate" : `--to-${target.kind}`;
}

function checkedName(name: string): string {
  const sizeBytes = Buffer.byteLength(name);
  if (sizeBytes <= RESTORE_POINT_BYTES_MAX) return name;
  throw usageError(
    `--to-name has ${sizeBytes} bytes, a restore point has at most ${RESTORE_POINT_BYTES_MAX}`,
    "Give the name as it was given to pg_create_restore_point().",
  );
}

/** A timeline's number, or "latest". */
export function timelineChoice(): ValueKind<Timeline | "latest"> {
  return {
    placeholder: "N",
    accepts: 'a timeline\'s number, or "latest"',
    parse: (given) => {
      if (given === "latest") return given;
      const value = /^\d{1,10}$/.test(given) ? Number(given) : 0;
      return value >= 1 && value < 2 ** 32 ? (value as Timeline) : undefined;
    },
    format: String,
  };
}

/** A position in the WAL as PostgreSQL writes it: `0/3000060`. */
export function walPosition(): ValueKind<Lsn> {
  return {
    placeholder: "LSN",
    accepts: "a position in the WAL, for example 0/3000060",
    parse: (given) => (/^[0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8}$/.test(given) ? parseLsn(given) : undefined),
    format: formatLsn,
  };
}

/** A transaction id: 32 bits, or 64 with the epoch, as pg_current_xact_id() has it. */
export function transactionId(): ValueKind<bigint> {
  return {
    placeholder: "XID",
    accepts: "a transaction id from 3 on, as pg_current_xact_id() shows it",
    parse: (given) => {
      const value = /^\d{1,20}$/.test(given) ? BigInt(given) : 0n;
      // 0 to 2 of every epoch are PostgreSQL's own.
      return value >= 1n << 64n || value % (1n << 32n) < 3n ? undefined : value;
    },
    format: String,
  };
}

/** A target for programs. In JSON a bigint is an LSN, and a transaction id is not. */
export function targetJson(target: RecoveryTarget) {
  if (target.kind === "xid") return { ...target, xid: String(target.xid) };
  return target.kind === "time" ? { ...target, time: formatInstant(target.time) } : target;
}

/** A stop for programs. */
export function stopJson(stop: PlannedStop) {
  if (stop.kind !== "record") return stop;
  const timed = ({ time, ...record }: StopRecord) => ({
    ...record,
    xid: record.xid ?? null,
    time: time === undefined ? null : formatWalTime(time),
  });
  const leftOut = stop.leftOut === undefined ? null : { ...stop.leftOut, time: formatWalTime(stop.leftOut.time) };
  return { ...stop, record: timed(stop.record), others: stop.others.map(timed), leftOut };
}
