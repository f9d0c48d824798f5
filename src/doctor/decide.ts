/**
 * Whether a server and a machine are fit to be protected.
 *
 * Nouns: a *check* is one question with an answer: *ok*, *warning* (protected, with a risk that is named), *problem* (not
 * protected as asked), *unknown* (could not be seen, and why).
 * Invariants: a check is judged by facts alone; each that is not ok says what to do, as exact statements where there are
 * any; nothing that was not seen is called ok.
 */

import { type CollationVersion, collationRisk } from "../postgres/collations.ts";
import { type LogicalSlot, SLOTS_COPIED_SINCE_MAJOR } from "../postgres/logical-slots.ts";
import { commitsWaitAfterStart, describeVersion, firstSafeMinor, majorOf } from "../postgres/server-version.ts";
import { type SlotsSeen, slotRisks } from "../postgres/slots.ts";
import type { OutsideTablespaces } from "../postgres/tablespaces.ts";
import { commitsWait, overrideRisk, RESET_COMMITS } from "../postgres/waiting-commits.ts";
import { describeByteSize } from "../units/byte-size.ts";
import { describeDuration } from "../units/duration.ts";
import { remedyOf } from "../wal/alarm-remedy.ts";
import { whyFailed, whyStale } from "../wal/report-age.ts";
import type { DoctorFacts, Observed, SpaceFacts } from "./facts.ts";

/** One question and its answer. */
export type Check = {
  /** Stable, for programs. */
  readonly id: string;
  readonly level: "ok" | "warning" | "problem" | "unknown";
  /** What was seen. */
  readonly found: string;
  /** Undefined when nothing is to be done. */
  readonly remedy: string | undefined;
};

type Answer = Omit<Check, "id">;

/** A clock further off than this makes a restore to a time miss what its operator means. */
const CLOCK_AHEAD_MS_MAX = 1_000;
/** Space that must be free beyond a full backup: the next full one is bigger than the last. */
const SPACE_FACTOR = 1.2;
/** WAL the spool must be able to take while the vault cannot be reached: 64 segments of the usual size. */
const SPOOL_FREE_BYTES_MIN = 1_073_741_824;
/** A vault that is lost on a Friday evening is looked at before this is over. */
const SPOOL_HOURS_MIN = 24;
/** Connections for WAL that must be free: one for the receiver, two for a backup. */
const WAL_SENDERS_FREE_MIN = 3;

/** From here on, what is held in memory of WAL is a good part of a small machine's. */
const LARGE_SEGMENT_BYTES = 268_435_456;
/** Measured, with segments of 1 GiB: a backup with its receiver has 3.6 GiB at most, a restore 3.1. */
const SEGMENTS_IN_MEMORY = 4;

/** Judges. */
export function diagnose(facts: DoctorFacts): readonly Check[] {
  const { server, machine } = facts;
  return [
    check(
      "login",
      from(server.version, () => ok(`ordinary connections to database ${facts.policy.database} work`)),
    ),
    check(
      "replication-login",
      from(server.replication, (id) => ok(`replication connections to system ${id} work`)),
    ),
    check(
      "version",
      from(server.version, (version) => versionOf(version, facts)),
    ),
    check(
      "role",
      from(server.role, () => roleOf(facts)),
    ),
    check(
      "checksums",
      setting(facts, "data_checksums", (value) => checksumsOf(value, facts)),
    ),
    check("full-page-writes", setting(facts, "full_page_writes", fullPageWritesOf)),
    check("fsync", setting(facts, "fsync", fsyncOf)),
    check("wal-level", setting(facts, "wal_level", walLevelOf)),
    check(
      "wal-senders",
      setting(facts, "max_wal_senders", (value) => walSendersOf(value, facts)),
    ),
    ...slotChecks(facts),
    ...segmentSizeChecks(facts),
    check("slot-limit", setting(facts, "max_slot_wal_keep_size", slotLimitOf)),
    check(
      "logical-slots",
      from(server.logicalSlots, (slots) => logicalSlotsOf(slots, facts)),
    ),
    check("collations", from(server.collations, collationsOf)),
    check("tablespaces", from(server.outsideTablespaces, tablespacesOf)),
    check(
      "synchronous",
      setting(facts, "synchronous_standby_names", (names) => synchronousOf(names, facts)),
    ),
    ...alterSystemChecks(facts),
    check("failure-domain", from(server.sameMachine, failureDomainOf)),
    check("clock", from(server.clock, clockOf)),
    check("vault", from(machine.vault, vaultOf)),
    check(
      "receiver",
      from(machine.receiver, () => receiverOf(facts)),
    ),
    check(
      "vault-space",
      from(machine.vaultSpace, (space) => roomFor(space, facts, "a full backup")),
    ),
    check(
      "spool-space",
      from(machine.spoolSpace, (space) => spoolSpaceOf(space, facts)),
    ),
    check(
      "sandbox-space",
      from(machine.sandboxSpace, (space) => roomFor(space, facts, "a restored server")),
    ),
    check(
      "programs",
      from(machine.programs, (folder) => ok(`PostgreSQL's programs are in ${folder}`)),
    ),
  ];
}

function check(id: string, answer: Answer): Check {
  return { id, ...answer };
}

function ok(found: string): Answer {
  return { level: "ok", found, remedy: undefined };
}

function warning(found: string, remedy: string): Answer {
  return { level: "warning", found, remedy };
}

function problem(found: string, remedy: string): Answer {
  return { level: "problem", found, remedy };
}

function from<T>(observed: Observed<T>, judge: (value: T) => Answer): Answer {
  if (observed.kind === "seen") return judge(observed.value);
  return { level: "unknown", found: observed.why, remedy: observed.remedy };
}

function seen<T>(observed: Observed<T>): T | undefined {
  return observed.kind === "seen" ? observed.value : undefined;
}

function setting({ server, policy }: DoctorFacts, name: string, judge: (value: string) => Answer): Answer {
  return from(server.settings, (settings) => {
    const value = settings.get(name);
    if (value !== undefined) return judge(value);
    const grant = `GRANT pg_read_all_settings TO ${quoteName(policy.role)};`;
    return { level: "unknown", found: `the role may not see ${name}`, remedy: grant };
  });
}

function versionOf(version: number, { server, policy }: DoctorFacts): Answer {
  const name = describeVersion(version);
  const safe = firstSafeMinor(version);
  if (safe === undefined) return problem(`${name} is not supported`, "Use PostgreSQL 15, 16, 17 or 18.");
  if (commitsWaitAfterStart(version)) return ok(name);
  const found = `${name}: commits right after a start may not wait for standbys before ${safe}`;
  const remedy = `Update the server to ${safe} or later; until then no acknowledged commit is promised to survive.`;
  const names = seen(server.settings)?.get("synchronous_standby_names") ?? "";
  return namesStandby(names, policy.applicationName) ? problem(found, remedy) : warning(found, remedy);
}

function roleOf({ server, policy }: DoctorFacts): Answer {
  const role = seen(server.role);
  if (role === undefined || role.superuser) {
    return ok(`role ${policy.role} is a superuser, which is more than is needed`);
  }
  const name = quoteName(policy.role);
  const missing: string[] = [];
  if (!role.replication) missing.push(`ALTER ROLE ${name} REPLICATION;`);
  const wanted: string[] = [];
  if (!role.memberOf.includes("pg_monitor")) wanted.push(`GRANT pg_monitor TO ${name};`);
  // Configuration that lies outside the data directory is read over SQL.
  if (!role.memberOf.includes("pg_read_server_files")) wanted.push(`GRANT pg_read_server_files TO ${name};`);
  if (!role.mayReadFiles) wanted.push(`GRANT EXECUTE ON FUNCTION pg_read_file(text) TO ${name};`);
  const remedy = [...missing, ...wanted].join(" ");
  if (missing.length > 0) return problem(`role ${policy.role} lacks REPLICATION`, remedy);
  if (wanted.length === 0) return ok(`role ${policy.role} has the rights it needs`);
  return warning(
    `role ${policy.role} cannot see all settings, or not read configuration outside the data directory`,
    remedy,
  );
}

function checksumsOf(checksums: string, { server }: DoctorFacts): Answer {
  if (checksums === "on") return ok("data checksums are on");
  const remedy =
    "Stop the server and run pg_checksums --enable -D DATA_DIRECTORY, or: ALTER SYSTEM SET wal_log_hints = on; and restart the server.";
  const hints = seen(server.settings)?.get("wal_log_hints");
  if (hints === "on") {
    return warning(
      "data checksums are off, wal_log_hints is on: backups cost only what changed, damage on the server's disk is not noticed",
      remedy,
    );
  }
  return problem(
    "data checksums and wal_log_hints are off: every backup copies every page, and damage on the server's disk is not noticed",
    remedy,
  );
}

function fullPageWritesOf(value: string): Answer {
  if (value === "on") return ok("full_page_writes is on");
  return problem(
    "full_page_writes is off: a crash can leave torn pages",
    "ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();",
  );
}

function fsyncOf(value: string): Answer {
  if (value === "on") return ok("fsync is on");
  return problem(
    "fsync is off: a power cut destroys the server's data",
    "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();",
  );
}

function walLevelOf(value: string): Answer {
  if (value !== "minimal") return ok(`wal_level is ${value}`);
  return problem(
    "wal_level is minimal: WAL cannot be received, nor a backup taken",
    "ALTER SYSTEM SET wal_level = replica; and restart the server.",
  );
}

function walSendersOf(value: string, { server }: DoctorFacts): Answer {
  const most = Number(value);
  const used = seen(server.walSendersUsed);
  const remedy = `ALTER SYSTEM SET max_wal_senders = ${Math.max(10, most + WAL_SENDERS_FREE_MIN)}; and restart the server.`;
  if (used === undefined) {
    if (most >= WAL_SENDERS_FREE_MIN) return from(server.walSendersUsed, () => ok(""));
    return problem(`max_wal_senders is ${most}`, remedy);
  }
  const found = `${used} of ${most} WAL senders are used`;
  if (most - used >= WAL_SENDERS_FREE_MIN) return ok(found);
  return most - used === 0 ? problem(found, remedy) : warning(found, remedy);
}

/** How a receiver is started. */
function startOf({ isOfStack }: DoctorFacts["policy"]): string {
  return isOfStack ? "lifeboat up, which starts what is missing of its stack" : "lifeboat wal receive, as a service";
}

/** Said only of servers with segments so large that machines of the usual size cannot hold some. */
function segmentSizeChecks({ server }: DoctorFacts): readonly Check[] {
  const segmentBytes = Number(seen(server.settings)?.get("wal_segment_size") ?? 0);
  if (segmentBytes < LARGE_SEGMENT_BYTES) return [];
  const [segment, memory] = [segmentBytes, SEGMENTS_IN_MEMORY * segmentBytes].map(describeByteSize);
  const found = `segments of WAL have ${segment}: the receiver and each command that reads WAL hold up to ${SEGMENTS_IN_MEMORY} in memory, ${memory}`;
  const remedy = `Give each of them ${memory}, or a receiver is killed when a segment is stored; the usual segments have 16 MiB (initdb --wal-segsize).`;
  return [check("segment-size", warning(found, remedy))];
}

/** The setting is there from 17 on. A backup needs no order; said only where somebody has turned it off. */
function alterSystemChecks({ server }: DoctorFacts): readonly Check[] {
  if (seen(server.settings)?.get("allow_alter_system") !== "off") return [];
  const found = "allow_alter_system is off: durability cannot be changed, and in a stack there is never a failover";
  return [check("alter-system", warning(found, "Set allow_alter_system = on where it is set, and reload the server."))];
}

function slotChecks({ server, policy }: DoctorFacts): readonly Check[] {
  const own = from(server.slots, (slots) => slotOf(slots, policy));
  const others = from(server.slots, (slots) => slotsOf(slots, policy));
  return [check("slot", own), check("slots", others)];
}

function slotOf(all: SlotsSeen, policy: DoctorFacts["policy"]): Answer {
  const name = policy.slot;
  const slot = all.slots.find((each) => each.name === name);
  if (slot === undefined) {
    return warning(
      `there is no slot ${name}: WAL that nobody received may be removed`,
      `Start the receiver, which makes it: ${startOf(policy)}.`,
    );
  }
  if (slot.slotType !== "physical") {
    return problem(
      `slot ${name} is ${slot.slotType}, not physical`,
      `Choose another name (receiver.slot), or: SELECT pg_drop_replication_slot(${quoteText(name)});`,
    );
  }
  const risk = slotRisks({ ...all, slots: [slot] }, { slot: name, start: startOf(policy) })[0];
  if (risk !== undefined) {
    const isLosing = risk.kind === "slot-lost" || risk.kind === "slot-unreserved";
    return (isLosing ? problem : warning)(risk.message, risk.remedy);
  }
  if (!slot.active)
    return warning(`slot ${name} is there and nobody receives from it`, `Start the receiver: ${startOf(policy)}.`);
  return ok(`slot ${name} is there and in use`);
}

/** Those of others: what they keep lies on the same disk. */
function slotsOf(all: SlotsSeen, policy: DoctorFacts["policy"]): Answer {
  const others = all.slots.filter(({ name }) => name !== policy.slot);
  const risks = slotRisks({ ...all, slots: others }, { slot: policy.slot, start: startOf(policy) });
  if (risks.length === 0) return ok("no other slot keeps WAL that nobody reads, and none has lost any");
  return warning(risks.map(({ message }) => message).join("; "), risks.map(({ remedy }) => remedy).join(" "));
}

/** They are in no WAL and in no backup. */
function logicalSlotsOf(slots: readonly LogicalSlot[], { server, policy }: DoctorFacts): Answer {
  const [unmarked, marked] = [slots.filter(({ failover }) => !failover), slots.filter(({ failover }) => failover)];
  const see = policy.isOfStack ? " Whether the replica has it: lifeboat failover --check-only." : "";
  if (unmarked.length === 0) {
    if (marked.length === 0) return ok("nothing goes on from a logical slot");
    return ok(`what goes on from ${namesOf(marked)} can do so on a standby that copies it.${see}`);
  }
  const found = `what goes on from ${namesOf(unmarked)} stops at a failover, and after a restore: no standby and no backup has it`;
  const anew = "After either, make it anew before clients write, and what it fed from a new copy.";
  const canCopy = majorOf(seen(server.version) ?? 0) >= SLOTS_COPIED_SINCE_MAJOR;
  return warning(
    found,
    canCopy ? `Of a subscription, disabled: ALTER SUBSCRIPTION … SET (failover = true);${see} ${anew}` : anew,
  );
}

function namesOf(slots: readonly LogicalSlot[]): string {
  return `logical slot${slots.length === 1 ? "" : "s"} ${slots.map(({ name }) => name).join(", ")}`;
}

function collationsOf(collations: readonly CollationVersion[]): Answer {
  const risk = collationRisk(collations, collations.length);
  if (risk === undefined) return ok("text is sorted by the versions of glibc and ICU by which it was sorted");
  return warning(risk.message, risk.remedy);
}

function tablespacesOf({ tablespaces, standbysHere }: OutsideTablespaces): Answer {
  const [first] = tablespaces;
  if (first === undefined) return ok("all tablespaces lie in the data directory");
  const named = tablespaces.length === 1 ? `tablespace ${first.name} lies` : `${tablespaces.length} tablespaces lie`;
  const found = `${named} outside of the data directory: ${first.location}${tablespaces.length === 1 ? "" : " and others"}`;
  const standbys = standbysHere.join(", ");
  if (standbysHere.length === 0) return ok(found);
  return warning(
    `${found}; ${standbys} on the same machine leads to the same folders, unless restored from a backup with them: both then write there`,
    `Compare pg_tblspc in both data directories. Where they lead to one folder: stop ${standbys}, move what lies there (ALTER TABLE … SET TABLESPACE pg_default), drop the tablespace, and rebuild the standby.`,
  );
}

function slotLimitOf(value: string): Answer {
  const limitMib = Number(value);
  if (limitMib >= 0) {
    return ok(
      `the server keeps at most ${describeByteSize(limitMib * 1_048_576)} of WAL for a slot, then invalidates it`,
    );
  }
  return warning(
    "max_slot_wal_keep_size is unlimited: while nobody receives, WAL fills the server's disk until it stops",
    "Watch that disk, or: ALTER SYSTEM SET max_slot_wal_keep_size = '64GB'; SELECT pg_reload_conf(); (choose what the disk can spare).",
  );
}

function synchronousOf(value: string, facts: DoctorFacts): Answer {
  const { applicationName, isOfStack } = facts.policy;
  const name = [applicationName, ...(isOfStack ? namesInReigns(value, applicationName) : [])].find((each) =>
    namesStandby(value, each),
  );
  if (name !== undefined) {
    const listed = `synchronous_standby_names is ${quoteText(value)}`;
    return setting(facts, "synchronous_commit", (commit) => waitingOf(commit, { listed, name, facts }));
  }
  // In a stack the names belong to the controller, whose record says what is promised (safety rule B13).
  const how = isOfStack
    ? "lifeboat durability quorum. While a failover is under way, wait for its end: lifeboat failover --check-only."
    : `ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (${applicationName})'; SELECT pg_reload_conf();`;
  const remedy = `For no acknowledged commit to be lost: ${how}`;
  const found =
    value === ""
      ? "no commit waits for the receiver"
      : `synchronous_standby_names is ${quoteText(value)}, without ${applicationName}`;
  return warning(`${found}: what was committed in the last moments can be lost`, remedy);
}

/** What the receiver is called in any reign: one that is withdrawn has no name of its own, and is still waited for by its last. */
function namesInReigns(list: string, name: string): readonly string[] {
  const base = (each: string): string => each.replace(/_e\d+$/, "");
  return [...list.matchAll(/\w+_e\d+/g)].map(([each]) => each).filter((each) => base(each) === base(name));
}

/** Being named is half of it: a commit waits by its session's synchronous_commit. */
function waitingOf(
  commit: string,
  { listed, name, facts }: { readonly listed: string; readonly name: string; readonly facts: DoctorFacts },
): Answer {
  if (!commitsWait(commit)) {
    const found = `${listed}, but synchronous_commit is ${commit}: commits are acknowledged before ${name} has them on stable storage`;
    return problem(found, RESET_COMMITS);
  }
  return from(facts.server.commitOverrides, (overrides) => {
    const risks = overrides.flatMap((override) => overrideRisk(override) ?? []);
    if (risks.length === 0) return ok(`${listed}: commits can wait for ${name}`);
    return warning(risks.map(({ message }) => message).join("; "), risks.map(({ remedy }) => remedy).join(" "));
  });
}

/** Whether a standby of this name can count: the list names it, or anybody. */
export function namesStandby(list: string, name: string): boolean {
  const words = list.replace(/^\s*(?:(?:ANY|FIRST)\s+)?\d+\s*\(/i, "(").match(/"(?:[^"]|"")*"|[^\s,()"]+/g) ?? [];
  return words.some((word) => {
    const plain = word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word;
    return plain === "*" || plain.toLowerCase() === name.toLowerCase();
  });
}

function failureDomainOf(same: boolean): Answer {
  if (!same) return ok("the server runs on another machine, as far as addresses tell");
  return warning(
    "the server runs on the same machine: what destroys it destroys what was received, whatever waits for us",
    "Run the receiver, with spool and vault, on another machine than the server.",
  );
}

function clockOf(clock: { readonly aheadMs: number; readonly uncertainMs: number }): Answer {
  const off = Math.abs(clock.aheadMs);
  const found = `the server's clock is ${describeDuration(off)} ${clock.aheadMs >= 0 ? "ahead" : "behind"}, known to ${describeDuration(clock.uncertainMs)}`;
  if (off - clock.uncertainMs <= CLOCK_AHEAD_MS_MAX) return ok(found);
  return warning(found, "Let both machines keep time by NTP: restores to a time go by the server's clock.");
}

function vaultOf(newest: { readonly endedAtMs: number } | undefined): Answer {
  if (newest !== undefined)
    return ok(`the vault opens; its newest backup is of ${new Date(newest.endedAtMs).toISOString()}`);
  return warning("the vault opens and has no backup", "Take one: lifeboat backup.");
}

function receiverOf({ machine, policy }: DoctorFacts): Answer {
  const { receiver: status, reportAgeMs } = seen(machine.receiver) ?? {};
  const start = `Start it: ${startOf(policy)}.`;
  if (status === undefined || status.kind === "never-ran")
    return warning("no receiver ever ran with this spool", start);
  const { report } = status;
  const [alarm] = report.alarms;
  const failed = whyFailed(status);
  if (failed !== undefined)
    return problem(`the receiver ended at ${failed.at}: ${failed.message} (${failed.code})`, failed.remedy);
  if (status.kind === "not-running")
    return problem(`the receiver does not run; last seen ${report.mode} at ${report.updatedAt}`, start);
  const stale = whyStale(reportAgeMs);
  if (stale !== undefined)
    return problem(
      `nothing is known of the receiver: ${stale}`,
      "See lifeboat wal status; unless it speaks by itself, restart it.",
    );
  if (alarm !== undefined) return problem(`receiver: ${alarm.message}`, remedyOf(alarm, report));
  if (report.mode !== "streaming")
    return warning(`the receiver is ${report.mode}`, report.lastError?.remedy ?? "See lifeboat wal status.");
  return ok(`the receiver streams; ${describeByteSize(report.spoolBytes)} in the spool`);
}

function roomFor(space: SpaceFacts, { server, machine }: DoctorFacts, what: string): Answer {
  const size = seen(machine.vault)?.dataBytes ?? seen(server.sizeBytes);
  const found = `${describeByteSize(space.freeBytes)} free in ${space.folder}`;
  if (size === undefined)
    return {
      level: "unknown",
      found: `${found}; how much ${what} needs is not known`,
      remedy: "Take a backup first: lifeboat backup.",
    };
  const needed = size * SPACE_FACTOR;
  if (space.freeBytes >= needed) return ok(`${found}, ${what} takes at most ${describeByteSize(size)}`);
  return warning(
    `${found}, ${what} can take ${describeByteSize(needed)}`,
    "Free space there, or choose a bigger disk.",
  );
}

function spoolSpaceOf(space: SpaceFacts, { server }: DoctorFacts): Answer {
  const found = `${describeByteSize(space.freeBytes)} free in ${space.folder}`;
  const remedy = `Free at least ${describeByteSize(SPOOL_FREE_BYTES_MIN)}, or choose another disk (folders.spool).`;
  if (space.freeBytes < SPOOL_FREE_BYTES_MIN)
    return problem(`${found}: little WAL can wait there for the vault`, remedy);
  const rate = seen(server.walBytesPerHour);
  if (rate === undefined || rate <= 0) return ok(`${found}; how much WAL the server writes is not known`);
  const lasts = `${found}, enough for ${Math.floor(space.freeBytes / rate)} hours of WAL while the vault is away`;
  return space.freeBytes / rate >= SPOOL_HOURS_MIN ? ok(lasts) : warning(lasts, remedy);
}

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
