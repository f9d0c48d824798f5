import assert from "node:assert/strict";
import { test } from "node:test";
import { slotOf } from "../../test/support/inventories.ts";
import { readSlots, type SlotsSeen, slotRisks } from "./slots.ts";

const GIB = 1_073_741_824;
const DAY_MS = 86_400_000;
const receiver = { slot: "vault", start: "lifeboat wal receive" };

function risk(slot: Parameters<typeof slotOf>[0], seen: Partial<SlotsSeen> = {}) {
  const [found] = slotRisks({ limitBytes: null, roomBytes: GIB, ...seen, slots: [slotOf(slot)] }, receiver);
  return found;
}

const extended = { keptBytes: 2 * GIB, walStatus: "extended" };
const cases: readonly (readonly [string, Parameters<typeof slotOf>[0], Partial<SlotsSeen>, string | undefined])[] = [
  ["keeps nothing", { walStatus: null, keptBytes: null }, {}, undefined],
  ["is read from, however far behind", { ...extended, active: true }, {}, undefined],
  [
    "is idle within the room of the server's WAL",
    { keptBytes: GIB, idleMs: 5 * DAY_MS },
    { limitBytes: GIB },
    undefined,
  ],
  ["is idle and holds back more", extended, {}, "slot-idle"],
  ["is idle and holds back more, with a limit", extended, { limitBytes: 9 * GIB }, "slot-idle"],
  ["is idle for a day without a limit", { keptBytes: GIB / 16, idleMs: DAY_MS }, {}, "slot-forgotten"],
  ["is idle for less than a day", { keptBytes: GIB / 16, idleMs: DAY_MS - 1 }, {}, undefined],
  ["is idle for a day and keeps next to nothing", { keptBytes: GIB / 16 - 1, idleMs: DAY_MS }, {}, undefined],
  ["is idle, nobody knows for how long", { keptBytes: GIB / 16 }, {}, undefined],
  ["is about to lose WAL while it is read from", { active: true, walStatus: "unreserved" }, {}, "slot-unreserved"],
  ["is lost", { keptBytes: null, walStatus: "lost" }, {}, "slot-lost"],
];

for (const [what, slot, seen, kind] of cases) {
  test(`a slot that ${what}: ${kind ?? "no risk"}`, () => assert.equal(risk(slot, seen)?.kind, kind));
}

test("a risk says how much, for how long and what ends it, and what to do", () => {
  assert.deepEqual(risk({ ...extended, idleMs: 3 * DAY_MS }, { limitBytes: 9 * GIB }), {
    kind: "slot-idle",
    slot: "cdc",
    message:
      "nobody reads from slot cdc for 3d: it holds back 2.0 GiB of WAL, room is set for 1.0 GiB, and it is invalidated at 9.0 GiB",
    remedy: "Start what reads from it; where nobody does any more: SELECT pg_drop_replication_slot('cdc');",
  });
  assert.match(risk(extended)?.message ?? "", /nobody reads from slot cdc: .*, and nothing limits it$/);
  assert.match(risk({ walStatus: "lost", lostBy: "idle_timeout" })?.message ?? "", /invalidated: idle_timeout$/);
});

test("the receiver's slot has the receiver for a remedy", () => {
  assert.equal(risk({ ...extended, name: "vault" })?.remedy, "Start the receiver: lifeboat wal receive.");
  assert.match(risk({ name: "vault", walStatus: "unreserved" })?.remedy ?? "", /^Start the receiver now/);
  assert.match(
    risk({ name: "vault", walStatus: "lost" })?.remedy ?? "",
    /drop.*Then start the receiver and take a backup/,
  );
});

test("a server without slots has none, and -1 is no limit", () => {
  assert.deepEqual(readSlots({ limit_bytes: -1, room_bytes: GIB, slots: null }), {
    limitBytes: null,
    roomBytes: GIB,
    slots: [],
  });
});
