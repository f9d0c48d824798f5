import assert from "node:assert/strict";
import { test } from "node:test";
import type { Instant } from "../platform/clock.ts";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import type { BackupId } from "../vault/names.ts";
import { decideRetention, type ProofStanding, type RetainedBackup, type RetentionPolicy } from "./decide.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 0, 1);
const SYSTEMS = ["1", "2"] as readonly string[] as readonly SystemId[];
const policy: RetentionPolicy = {
  windows: { hourly: 24, daily: 7, weekly: 4 },
  manualDays: 90,
  graceMs: DAY,
  named: new Set(),
};

/** Numbers from a seed: mulberry32. */
function dice(seed: number): (faces: number) => number {
  let state = seed;
  return (faces) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % faces;
  };
}

const calendars = new Map<number, { readonly hour: string; readonly day: string; readonly monday: string }>();

function calendar(at: number) {
  const known = calendars.get(at);
  if (known !== undefined) return known;
  const text = new Date(at).toISOString();
  const monday = new Date(at);
  monday.setUTCDate(monday.getUTCDate() - ((monday.getUTCDay() + 6) % 7));
  const found = { hour: text.slice(0, 13), day: text.slice(0, 10), monday: monday.toISOString().slice(0, 10) };
  calendars.set(at, found);
  return found;
}

/**
 * What the policy keeps of everything that was ever taken, said another way than decide.ts does: by calendar texts, one
 * window after another, as though nothing had ever been deleted.
 */
function expectedOf(
  all: readonly RetainedBackup[],
  at: number,
  special: { proofs: ReadonlyMap<string, ProofStanding>; held: Set<string> },
) {
  const keep = new Set<string>();
  for (const systemId of SYSTEMS) {
    const own = all.filter((each) => each.systemId === systemId);
    const newestFirst = own
      .filter(({ restorable }) => restorable)
      .sort((a, b) => b.endedMs - a.endedMs || (a.backupId < b.backupId ? 1 : -1));
    const standing = ({ backupId }: RetainedBackup) => special.proofs.get(backupId);
    const soundFirst = (list: readonly RetainedBackup[]) =>
      list.toSorted((a, b) => Number(standing(a) === "failed") - Number(standing(b) === "failed"));
    const scheduled = soundFirst(newestFirst).filter(({ tier }) => tier !== "manual");
    const fill = (count: number, stepMs: number, window: (at: number) => string): void => {
      const newest = new Map<string, string>();
      for (const { endedMs, backupId } of scheduled) {
        const inside = window(endedMs);
        if (!newest.has(inside)) newest.set(inside, backupId);
      }
      for (let back = 0; back < count; back += 1) {
        const found = newest.get(window(at - back * stepMs));
        if (found !== undefined) keep.add(found);
      }
    };
    fill(24, HOUR, (time) => calendar(time).hour);
    fill(7, DAY, (time) => calendar(time).day);
    fill(4, 7 * DAY, (time) => calendar(time).monday);
    for (const each of own) {
      const age = at - each.endedMs;
      if (age < HOUR || (each.tier === "manual" && age < 90 * DAY)) keep.add(each.backupId);
    }
    const [sound, booted, shown] = [[undefined, "shown", "booted"], ["booted"], ["shown"]].map((wanted) =>
      newestFirst.filter((each) => wanted.includes(standing(each))),
    );
    for (const pools of [
      [sound, newestFirst],
      [booted, shown],
    ]) {
      const pool = pools.find((each) => each !== undefined && each.length > 0) ?? [];
      // One that is dated ahead hides none that comes after it.
      const newest = pool.find(({ endedMs }) => endedMs - at <= HOUR / 12) ?? pool[0];
      const furthest = pool.toSorted((a, b) => Number(b.endLsn - a.endLsn))[0];
      for (const each of [newest, furthest]) if (each !== undefined) keep.add(each.backupId);
    }
  }
  for (const each of special.held) keep.add(each);
  return keep;
}

/** A year of hourly backups of two systems, with everything that goes wrong. */
class Year {
  readonly roll: ReturnType<typeof dice>;
  /** Everything that was ever taken, but for what was too old for any window long ago. */
  all: RetainedBackup[] = [];
  readonly proofs = new Map<BackupId, ProofStanding>();
  readonly held = new Set<BackupId>();
  there: RetainedBackup[] = [];
  incident = false;
  /** How wrong the clock is. */
  stepMs = 0;
  stepUntil = 0;
  /** When the receiver stored each segment, by the clock as it was then. */
  stored: number[] = [];
  outageUntil = new Map<SystemId, number>();
  taken = 0;
  erased = 0;
  revived = 0;

  constructor(seed: number) {
    this.roll = dice(seed);
  }

  hour(at: number): void {
    this.#disturb(at);
    this.stored = [...this.stored.slice(-1000), at + this.stepMs];
    for (const systemId of SYSTEMS) {
      if ((this.outageUntil.get(systemId) ?? 0) > at || this.roll(10) === 0) continue;
      const burst = this.roll(300) === 0 ? 20 : 1;
      for (let count = 0; count < burst; count += 1) this.#take(systemId, at + count * 60_000);
    }
    if (this.roll(8) === 0) this.prune(at + HOUR / 2);
    if (at % (10 * DAY) === 0) this.#forget(at);
  }

  /** One prune, by the clock as it is set. Checks what is kept when the clock is right. */
  prune(at: number): void {
    const now = (at + this.stepMs) as Instant;
    const { there: backups, proofs, held, incident: incidentHold } = this;
    const decision = decideRetention(
      { now, backups, proofs, held, incidentHold, unfinished: [], madeMs: undefined, storedMs: this.stored },
      policy,
    );
    const gone = new Set<RetainedBackup>();
    const dead = new Map<RetainedBackup, RetainedBackup>();
    for (const { backup, stage, why } of decision.remove) {
      if (stage === "erase") gone.add(backup);
      if (stage === "tombstone") dead.set(backup, { ...backup, tombstone: { storedMs: now, why } });
    }
    if (decision.blockedBy === undefined) {
      for (const { backup } of decision.keep) {
        if (backup.tombstone !== undefined) dead.set(backup, { ...backup, tombstone: undefined });
      }
    }
    this.revived += [...dead.values()].filter(({ tombstone }) => tombstone === undefined).length;
    this.erased += gone.size;
    this.there = backups.filter((each) => !gone.has(each)).map((each) => dead.get(each) ?? each);
    if (this.stepMs === 0 && !incidentHold) this.#check(now);
    const expected = expectedOf(this.all, at, this);
    for (const { backupId } of gone) assert.ok(!expected.has(backupId), `${backupId} went, and the policy keeps it`);
    if (incidentHold || this.stepMs > 8 * DAY) assert.equal(gone.size + dead.size, 0);
  }

  #check(now: number): void {
    const restorable = this.there.filter(({ tombstone }) => tombstone === undefined);
    const kept = restorable.map(({ backupId }) => backupId).sort();
    assert.deepEqual(kept, [...expectedOf(this.all, now, this)].sort(), new Date(now).toISOString());
  }

  #forget(at: number): void {
    const expected = expectedOf(this.all, at, this);
    const matters = (each: RetainedBackup): boolean =>
      each.endedMs > at - 40 * DAY || each.tier === "manual" || this.there.includes(each);
    this.all = this.all.filter((each) => expected.has(each.backupId) || matters(each));
  }

  #take(systemId: SystemId, at: number): void {
    this.taken += 1;
    const number = this.taken;
    const backup: RetainedBackup = {
      backupId: `b${String(number).padStart(6, "0")}` as BackupId,
      systemId,
      tier: this.roll(50) === 0 ? "manual" : "hourly",
      endedMs: (at + this.stepMs) as Instant,
      timeline: 1 as Timeline,
      startLsn: BigInt(number * 10) as Lsn,
      endLsn: BigInt(number * 10 + 5) as Lsn,
      restorable: this.roll(20) !== 0,
      reaches: { timeline: 1 as Timeline, storedMs: at },
      tombstone: undefined,
    };
    // Its proof fails before the next prune: what a later failure would want back may be gone.
    if (this.roll(12) === 0) this.proofs.set(backup.backupId, "failed");
    this.all.push(backup);
    this.there.push(backup);
  }

  #disturb(at: number): void {
    if (at >= this.stepUntil) this.stepMs = 0;
    if (this.stepMs === 0 && this.roll(400) === 0) {
      // Shorter than the grace, or what was wrongly given a tombstone is deleted before the clock is put right.
      this.stepMs = (this.roll(2) === 0 ? 1 : -1) * (1 + this.roll(300)) * HOUR;
      this.stepUntil = at + (1 + this.roll(20)) * HOUR;
    }
    if (this.roll(500) === 0) this.incident = !this.incident;
    if (this.incident && this.roll(40) === 0) this.incident = false;
    for (const systemId of SYSTEMS) {
      if (this.roll(600) === 0) this.outageUntil.set(systemId, at + this.roll(60) * DAY);
    }
    const offered = this.there.filter(({ tombstone }) => tombstone === undefined);
    const any = offered[this.roll(Math.max(1, offered.length))];
    if (any !== undefined && this.roll(100) === 0) this.held.add(any.backupId);
    if (this.held.size > 3) this.held.delete([...this.held][0] as BackupId);
    if (any?.restorable === true && this.roll(30) === 0 && !this.proofs.has(any.backupId)) {
      // Of the first system none ever comes up.
      this.proofs.set(any.backupId, any.systemId === SYSTEMS[0] || this.roll(2) === 0 ? "shown" : "booted");
    }
  }
}

for (const seed of [1, 2]) {
  test(`a year of missed backups, bursts, wrong clocks, holds and incidents keeps what the policy says (seed ${seed})`, () => {
    const year = new Year(seed);
    for (let hour = 0; hour < 365 * 24; hour += 1) year.hour(START + hour * HOUR);
    assert.ok(year.erased > 5000 && year.revived > 10, `${year.erased} erased, ${year.revived} revived`);
    assert.ok(year.there.length < 400, `${year.there.length} left`);
  });
}
