import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Instant } from "../platform/clock.ts";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import type { BackupTier } from "../vault/backups.ts";
import type { BackupId } from "../vault/names.ts";
import {
  decideRetention,
  isNewer,
  type RetainedBackup,
  type RetentionDecision,
  type RetentionFacts,
  type RetentionPolicy,
} from "./decide.ts";
import { windowName } from "./windows.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** A Sunday, shortly before midnight. */
const NOW = Date.UTC(2026, 10, 22, 23, 30) as Instant;

const policy: RetentionPolicy = {
  windows: { hourly: 24, daily: 7, weekly: 4 },
  manualDays: undefined,
  graceMs: DAY,
  named: new Set(),
};

let made = 0;
function backup(ageHours: number, changes: Partial<RetainedBackup> = {}): RetainedBackup {
  made += 1;
  const endedMs = (NOW - ageHours * HOUR) as Instant;
  return {
    backupId: `b${made}` as BackupId,
    systemId: "1" as SystemId,
    tier: "hourly",
    endedMs,
    timeline: 1 as Timeline,
    startLsn: BigInt(endedMs) as Lsn,
    endLsn: BigInt(endedMs + 1) as Lsn,
    restorable: true,
    reaches: { timeline: 1 as Timeline, storedMs: 0 },
    tombstone: undefined,
    ...changes,
  };
}

function facts(backups: readonly RetainedBackup[], changes: Partial<RetentionFacts> = {}): RetentionFacts {
  const none = { proofs: new Map<BackupId, never>(), held: new Set<BackupId>(), incidentHold: false, unfinished: [] };
  const madeMs = undefined;
  return { now: NOW, backups, ...none, madeMs, storedMs: [NOW], ...changes };
}

/** Each backup that stays, by its age in hours, with its reasons. */
function kept(decision: RetentionDecision): Record<string, string> {
  return Object.fromEntries(
    decision.keep.map(({ backup: { endedMs }, reasons }) => [
      `${(NOW - endedMs) / HOUR}`,
      reasons.map((reason) => (reason.kind === "tier" ? `${reason.tier} ${reason.window}` : reason.kind)).join(", "),
    ]),
  );
}

function stays(of: RetainedBackup, decision: RetentionDecision): boolean {
  return decision.keep.some((each) => each.backup === of);
}

describe("the windows of retention", () => {
  test("keep the newest of each hour, day and ISO week, and one backup may serve several", () => {
    const ages = [0.1, 0.3, 1, 1.2, 22, 25, 26, 48, 100, 167, 168, 400, 800];
    assert.deepEqual(kept(decideRetention(facts(ages.map((age) => backup(age))), policy)), {
      "0.1": "newest, young, hourly 2026-11-22T23Z, daily 2026-11-22, weekly 2026-W47",
      "0.3": "young",
      "1": "hourly 2026-11-22T22Z",
      "22": "hourly 2026-11-22T01Z",
      "25": "daily 2026-11-21",
      "48": "daily 2026-11-20",
      "100": "daily 2026-11-18",
      "167": "daily 2026-11-16",
      "168": "weekly 2026-W46",
      "400": "weekly 2026-W45",
    });
  });

  test("are of the size the policy says, and none of a tier with zero", () => {
    const backups = [2, 30, 60, 200].map((age) => backup(age));
    const windows = { hourly: 0, daily: 2, weekly: 0 };
    assert.deepEqual(kept(decideRetention(facts(backups), { ...policy, windows })), {
      "2": "newest, daily 2026-11-22",
      "30": "daily 2026-11-21",
    });
  });

  test("have the names people use, also where the year of a week is not that of its days", () => {
    assert.equal(windowName("hourly", 0), "1970-01-01T00Z");
    assert.equal(windowName("weekly", 0), "1970-W01");
    // Friday, 1 January 2027 lies in the last week of 2026, which has 53.
    const week = Math.floor((Date.UTC(2027, 0, 1) / DAY + 3) / 7);
    assert.deepEqual([windowName("weekly", week), windowName("weekly", week + 1)], ["2026-W53", "2027-W01"]);
  });

  test("are filled by restorable backups only, and each system fills its own", () => {
    const stranded = backup(30, { restorable: false });
    const other = backup(31, { systemId: "2" as SystemId });
    const decision = decideRetention(facts([backup(2), stranded, backup(33), other]), policy);
    assert.deepEqual(Object.keys(kept(decision)), ["2", "31", "33"]);
    assert.deepEqual(
      decision.remove.map((each) => each.backup),
      [stranded],
    );
  });
});

describe("a backup stays", () => {
  const old = (changes: Partial<RetainedBackup> = {}) => backup(5000, changes);

  test("when it is the newest that was proven, or is held, whatever its age", () => {
    const [one, two, three] = [old(), old(), old()];
    const decision = decideRetention(
      facts([one, two, three, backup(2)], {
        proofs: new Map([[one.backupId, "booted"]]),
        held: new Set([two.backupId]),
      }),
      policy,
    );
    assert.deepEqual(
      [one, two, three].map((each) => stays(each, decision)),
      [true, true, false],
    );
  });

  test("when it is the newest that was proven to any depth, and none came up", () => {
    const [one, two, three] = [old(), old(), old()];
    const shown = new Map([one, two].map(({ backupId }) => [backupId, "shown"] as const));
    const stay = (proofs: RetentionFacts["proofs"]) => {
      const decision = decideRetention(facts([one, two, three, backup(2)], { proofs }), policy);
      return [one, two, three].map((each) => stays(each, decision));
    };
    assert.deepEqual(stay(shown), [false, true, false]);
    assert.deepEqual(stay(new Map([...shown, [one.backupId, "booted"]])), [true, false, false]);
  });

  test("and is the newest, where a newer one failed its proof", () => {
    const [sound, lost] = [backup(54), backup(50)];
    const proofs = new Map([[lost.backupId, "failed"]] as const);
    const decision = decideRetention(facts([sound, lost], { proofs }), policy);
    assert.deepEqual(kept(decision), { "54": "newest, daily 2026-11-20, weekly 2026-W47" });
    assert.deepEqual(
      decision.remove.map(({ backup: { backupId }, proofFailed }) => [backupId, proofFailed]),
      [[lost.backupId, true]],
    );
  });

  test("though it failed its proof, while nothing else is of its window, or of its system", () => {
    const [sound, lost] = [backup(78), backup(50)];
    const proofs = new Map([[lost.backupId, "failed"]] as const);
    assert.deepEqual(kept(decideRetention(facts([sound, lost], { proofs }), policy)), {
      "50": "daily 2026-11-20",
      "78": "newest, daily 2026-11-19, weekly 2026-W47",
    });
    assert.ok(stays(lost, decideRetention(facts([lost], { proofs }), policy)));
  });

  test("when it is the newest of its system, also when somebody named it", () => {
    const only = old();
    assert.ok(stays(only, decideRetention(facts([only]), { ...policy, named: new Set([only.backupId]) })));
  });

  test("when it is the furthest in the WAL, though its clock says otherwise", () => {
    const misdated = old({ endLsn: BigInt(NOW * 2) as Lsn });
    const later = backup(3000, { timeline: 2 as Timeline });
    assert.ok(stays(misdated, decideRetention(facts([misdated, backup(2)]), policy)));
    assert.ok(stays(later, decideRetention(facts([later, backup(2)]), policy)));
  });

  test("when it is dated ahead, until it is named; it is the newest only where there is no other", () => {
    const wrong = backup(-5000, { endLsn: 1n as Lsn });
    const all = [wrong, backup(30), backup(2)];
    assert.ok(stays(wrong, decideRetention(facts(all), policy)));
    const named = { ...policy, named: new Set(all.map(({ backupId }) => backupId)) };
    assert.deepEqual(kept(decideRetention(facts(all), named)), { "2": "newest" });
    assert.ok(stays(wrong, decideRetention(facts([wrong]), named)));
  });

  test("when nothing of its system can be restored", () => {
    const backups = [old({ restorable: false }), old({ restorable: false })];
    assert.equal(decideRetention(facts(backups), policy).remove.length, 0);
  });

  test("when it is manual, until it is too old, or is named", () => {
    const manual = backup(49, { tier: "manual" });
    const all = facts([manual, backup(2)]);
    assert.ok(stays(manual, decideRetention(all, policy)));
    assert.ok(!stays(manual, decideRetention(all, { ...policy, manualDays: 2 })));
    assert.ok(stays(manual, decideRetention(all, { ...policy, manualDays: 3 })));
    const named = decideRetention(all, { ...policy, named: new Set([manual.backupId]) });
    assert.deepEqual(
      named.remove.map(({ why, stage }) => [why, stage]),
      [["named", "tombstone"]],
    );
  });

  test("when there is an incident, or nothing was stored for a week", () => {
    const backups = [backup(2), old()];
    assert.deepEqual(decideRetention(facts(backups, { incidentHold: true }), policy).blockedBy, { kind: "incident" });
    const newestStoredMs = NOW - 8 * DAY;
    const quiet = decideRetention(facts(backups, { storedMs: [newestStoredMs] }), policy);
    assert.deepEqual([quiet.blockedBy, quiet.remove], [{ kind: "quiet", newestStoredMs }, []]);
  });
});

describe("a clock that leapt ahead", () => {
  const blockerOf = (daysAgo: readonly number[], graceMs = DAY, madeDaysAgo?: number) => {
    const madeMs = madeDaysAgo === undefined ? undefined : NOW - madeDaysAgo * DAY;
    const storedMs = daysAgo.map((days) => NOW - days * DAY);
    return decideRetention(facts([], { storedMs, madeMs }), { ...policy, graceMs }).blockedBy;
  };
  const leapt = (before: number, after: number, waitDays: number) => ({
    kind: "leapt",
    newestStoredMs: NOW - before * DAY,
    resumedMs: NOW - after * DAY,
    untilMs: NOW - (after - waitDays) * DAY,
  });

  test("is not vouched for by what was stored since: nothing goes for a grace, and at least for a day", () => {
    assert.deepEqual(blockerOf([10, 9, 8, 0.5, 0.1]), leapt(8, 0.5, 1));
    assert.deepEqual(blockerOf([10, 9, 8, 0.5, 0.1], 0), leapt(8, 0.5, 1));
    assert.equal(blockerOf([10, 9, 8, 1, 0.1]), undefined);
    assert.deepEqual(blockerOf([11, 10, 2, 1, 0.1], 3 * DAY), leapt(10, 2, 3));
    assert.equal(blockerOf([8, 7, 0.5]), undefined);
  });

  test("is not seen in a vault that gets a backup at long intervals", () => {
    assert.deepEqual(blockerOf([7.1, 0]), leapt(7.1, 0, 1));
    assert.equal(blockerOf([14.1, 7.1, 0]), undefined);
    assert.equal(blockerOf([61, 30.1, 0]), undefined);
    assert.deepEqual(blockerOf([407.1, 400.1, 0]), leapt(400.1, 0, 1));
  });

  test("is seen in a vault with an object that is dated before the vault was made, by a clock that began at 1970", () => {
    const year1970 = NOW / DAY;
    assert.deepEqual(blockerOf([year1970, 10, 9, 8, 0.5, 0.1], DAY, 10), leapt(8, 0.5, 1));
    assert.deepEqual(blockerOf([year1970, year1970 / 2, 10, 9, 8, 0.5], DAY, 10), leapt(8, 0.5, 1));
    assert.equal(blockerOf([year1970, 14.1, 7.1, 0], DAY, 15), undefined, "its own rests are known");
    assert.equal(blockerOf([14.1, 7.1, 0], DAY, -400), undefined, "it was made by a clock that was ahead");
  });

  test("and was put right leaves objects that are dated ahead: they do not tell that backups run", () => {
    assert.equal(blockerOf([1, -400])?.kind, undefined);
    assert.equal(blockerOf([8, -400])?.kind, "quiet");
    assert.deepEqual(blockerOf([8, 0, -400]), leapt(8, 0, 1));
  });
});

describe("after a fork", () => {
  const reaches = (timeline: number, ageDays: number) => ({
    reaches: { timeline: timeline as Timeline, storedMs: NOW - ageDays * DAY },
  });
  const windows = { hourly: 0, daily: 0, weekly: 0 };
  const keptOf = (backups: readonly RetainedBackup[]) => kept(decideRetention(facts(backups), { ...policy, windows }));

  test("the newest that leads to the branch in use stays beside a newer one that does not", () => {
    const backups = [backup(2, reaches(1, 0)), backup(26, reaches(2, 0)), backup(50, reaches(2, 0))];
    assert.deepEqual(keptOf(backups), { 2: "newest", 26: "newest" });
  });

  test("one that leads to a branch goes once backups were taken elsewhere for a week after its last WAL", () => {
    const of = (ageDays: number) => [backup(2, reaches(2, 0)), backup(600, reaches(3, ageDays))];
    assert.deepEqual(keptOf(of(7)), { 2: "newest", 600: "newest" });
    assert.deepEqual(keptOf(of(7.1)), { 2: "newest" });
  });
});

describe("a backup that is to go", () => {
  const tombstone = (ageHours: number, why: "retention" | "named" = "retention") => ({
    tombstone: { storedMs: NOW - ageHours * HOUR, why },
  });
  const stages = (changes: Partial<RetentionFacts>, ageHours: number) =>
    decideRetention(facts([backup(2), backup(5000, tombstone(ageHours))], changes), policy).remove.map(
      ({ stage }) => stage,
    );
  const begun = (ageHours: number, systemId = "1") => ({
    unfinished: [
      {
        systemId: systemId as SystemId,
        backupId: "u" as BackupId,
        startedMs: NOW - ageHours * HOUR,
        hasManifest: false,
      },
    ],
  });

  test("has its tombstone for the whole grace before it is erased", () => {
    assert.deepEqual(stages({}, 23.9), ["grace"]);
    assert.deepEqual(stages({}, 24), ["erase"]);
  });

  test("waits for a backup that began before its tombstone, which may have it as its parent", () => {
    assert.deepEqual(stages(begun(30), 25), ["awaits-backup"]);
    assert.deepEqual(stages(begun(24.5), 25), ["awaits-backup"]);
    assert.deepEqual(stages(begun(23), 25), ["erase"]);
    assert.deepEqual(stages(begun(30, "2"), 25), ["erase"]);
  });

  test("waits for none that was begun a week ago: that one is removed itself", () => {
    assert.deepEqual(stages(begun(8 * 24), 25), ["erase"]);
    const { abandoned } = decideRetention(facts([backup(2)], begun(8 * 24)), policy);
    assert.equal(abandoned.length, 1);
    assert.equal(decideRetention(facts([backup(2)], begun(6 * 24)), policy).abandoned.length, 0);
  });

  test("is none that has a manifest, however long ago it was begun: its announcement may be lost", () => {
    const unfinished = begun(8 * 24).unfinished.map((each) => ({ ...each, hasManifest: true }));
    assert.deepEqual(decideRetention(facts([backup(2)], { unfinished }), policy).abandoned, []);
  });

  test("and was named stays named with the next prune", () => {
    const manual = backup(300, { tier: "manual", ...tombstone(1, "named") });
    const decision = decideRetention(facts([backup(2), manual]), policy);
    assert.deepEqual(
      decision.remove.map(({ stage }) => stage),
      ["grace"],
    );
  });
});

const anyBackup = fc
  .record({
    age: fc.integer({ min: 0, max: 60 * 24 * 60 }),
    system: fc.constantFrom("1", "2"),
    tier: fc.constantFrom<BackupTier>("hourly", "daily", "weekly", "manual"),
    restorable: fc.boolean(),
    lsn: fc.integer({ min: 1, max: 1000 }),
    dead: fc.option(fc.integer({ min: 0, max: 60 })),
  })
  .map(({ age, system, tier, restorable, lsn, dead }) =>
    backup(age / 60, {
      systemId: system as SystemId,
      tier,
      restorable,
      endLsn: BigInt(lsn) as Lsn,
      tombstone: dead === null ? undefined : { storedMs: NOW - dead * HOUR, why: "retention" },
    }),
  );
const anyBackups = fc.array(anyBackup, { maxLength: 60 });

describe("whatever the backups are", () => {
  test("the newest proven, the newest restorable and what is held stay, whoever named them", () => {
    fc.assert(
      fc.property(anyBackups, fc.infiniteStream(fc.nat(7)), (backups, dice) => {
        const chosen = (face: number) =>
          new Set(backups.filter(() => dice.next().value === face).map(({ backupId }) => backupId));
        const [proven, held, named, failed] = [chosen(0), chosen(1), chosen(2), chosen(3)];
        const proofs = new Map([
          ...[...proven].map((backupId) => [backupId, "booted"] as const),
          ...[...failed].map((backupId) => [backupId, "failed"] as const),
        ]);
        for (const backupId of failed) proven.delete(backupId);
        const decision = decideRetention(facts(backups, { proofs, held }), { ...policy, named });
        assert.equal(decision.keep.length + decision.remove.length, backups.length);
        for (const systemId of ["1", "2"]) {
          const restorable = backups.filter((each) => each.systemId === systemId && each.restorable);
          const newestProven = restorable.filter(({ backupId }) => proven.has(backupId)).sort(byAge)[0];
          const newestSound = restorable.filter(({ backupId }) => !failed.has(backupId)).sort(byAge)[0];
          for (const newest of [newestSound ?? restorable.sort(byAge)[0], newestProven]) {
            assert.ok(newest === undefined || stays(newest, decision));
          }
        }
        for (const each of backups) assert.ok(!held.has(each.backupId) || stays(each, decision));
      }),
    );
  });

  test("no window is empty that a restorable backup could fill, and none is filled twice", () => {
    fc.assert(
      fc.property(anyBackups, (backups) => {
        const { keep } = decideRetention(facts(backups), policy);
        const filled = keep.flatMap(({ backup: { systemId }, reasons }) =>
          reasons.flatMap((reason) => (reason.kind === "tier" ? [`${systemId} ${reason.tier} ${reason.window}`] : [])),
        );
        assert.equal(new Set(filled).size, filled.length);
        for (const each of backups) {
          if (!each.restorable || each.tier === "manual") continue;
          const day = new Date(each.endedMs).toISOString().slice(0, 10);
          const inside = Date.parse(day) > Date.UTC(2026, 10, 22) - 7 * DAY;
          assert.equal(filled.includes(`${each.systemId} daily ${day}`), inside);
        }
      }),
    );
  });

  test("a burst of new backups pushes none out but those of its own hour, day and week", () => {
    fc.assert(
      fc.property(anyBackups, fc.integer({ min: 1, max: 100 }), (backups, count) => {
        const before = decideRetention(facts(backups), policy);
        const burst = Array.from({ length: count }, (_, index) => backup(index / 1000, { endLsn: 2000n as Lsn }));
        const after = decideRetention(facts([...backups, ...burst]), policy);
        for (const { backup: each, reasons } of before.keep) {
          const windows = reasons.filter((reason) => reason.kind === "tier").map(({ window }) => window);
          const older = windows.filter((window) => !["2026-11-22T23Z", "2026-11-22", "2026-W47"].includes(window));
          if (older.length > 0) assert.ok(stays(each, after));
        }
      }),
    );
  });

  test("what goes now goes later too, when nothing new comes", () => {
    fc.assert(
      fc.property(anyBackups, fc.integer({ min: 0, max: 6 * 24 }), (backups, hours) => {
        const first = decideRetention(facts(backups), policy);
        const later = decideRetention(facts(backups, { now: (NOW + hours * HOUR) as Instant }), policy);
        for (const { backup: each } of first.remove) assert.ok(!stays(each, later));
      }),
    );
  });
});

function byAge(a: RetainedBackup, b: RetainedBackup): number {
  return isNewer(a, b) ? -1 : 1;
}
