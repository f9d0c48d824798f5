import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Lsn, type SystemId, segmentName, type Timeline } from "../postgres/lsn.ts";
import type { TimelineHistory } from "./history.ts";
import { coversRange, type WalHoldings, walLineage, walLineages } from "./ranges.ts";

const MIB = 1024 * 1024;
const lsn = (mib: number): Lsn => BigInt(Math.round(mib * MIB)) as Lsn;
const timeline = (number: number): Timeline => number as Timeline;
const segment = (of: number, mib: number): string =>
  segmentName({ timeline: timeline(of), lsn: lsn(mib), walSegmentBytes: MIB });

function holdings(given: {
  readonly segments: readonly string[];
  readonly tails?: WalHoldings["tails"];
  readonly histories?: readonly (readonly [number, TimelineHistory])[];
}): WalHoldings {
  return {
    systemId: "7000000000000000001" as SystemId,
    walSegmentBytes: MIB,
    segments: given.segments,
    tails: given.tails ?? [],
    histories: new Map((given.histories ?? []).map(([of, history]) => [timeline(of), history])),
  };
}

const SWITCHED: readonly (readonly [number, TimelineHistory])[] = [
  [2, [{ timeline: timeline(1), switchLsn: lsn(3.5) }]],
];

test("three segments in a row and a tail are one range", () => {
  const held = holdings({
    segments: [segment(1, 2), segment(1, 1), segment(1, 3)],
    tails: [{ timeline: timeline(1), start: lsn(4), end: lsn(4.25) }],
  });
  const lineage = walLineage(held, timeline(1));
  assert.deepEqual(lineage.gaps, []);
  assert.deepEqual(lineage.ranges, [
    { from: lsn(1), to: lsn(4.25), spans: [{ timeline: 1, from: lsn(1), to: lsn(4.25) }] },
  ]);
});

test("a missing segment is a gap that says its name", () => {
  const held = holdings({ segments: [segment(1, 1), segment(1, 4)] });
  const lineage = walLineage(held, timeline(1));
  assert.equal(lineage.ranges.length, 2);
  assert.deepEqual(lineage.gaps, [
    { timeline: 1, from: lsn(2), to: lsn(4), firstSegment: segment(1, 2), segmentCount: 2 },
  ]);
  assert.deepEqual(coversRange(held, { timeline: timeline(1), from: lsn(1.5), to: lsn(4.5) }), {
    kind: "missing",
    gaps: lineage.gaps,
  });
});

test("a range goes on over a promotion, in the new timeline's copy of the segment", () => {
  const held = holdings({ segments: [segment(1, 2), segment(2, 3), segment(2, 4)], histories: SWITCHED });
  const [only] = walLineage(held, timeline(2)).ranges;
  assert.deepEqual(only, {
    from: lsn(2),
    to: lsn(5),
    spans: [
      { timeline: 1, from: lsn(2), to: lsn(3.5) },
      { timeline: 2, from: lsn(3.5), to: lsn(5) },
    ],
  });
});

test("what the old timeline wrote beyond the switch is its own lineage's and not the new one's", () => {
  const held = holdings({ segments: [segment(1, 3), segment(1, 4), segment(2, 5)], histories: SWITCHED });
  const [first, second] = walLineages(held);
  assert.deepEqual(
    first?.ranges.map(({ from, to }) => [from, to]),
    [[lsn(3), lsn(5)]],
  );
  assert.deepEqual(
    second?.ranges.map(({ from, to }) => [from, to]),
    [
      [lsn(3), lsn(3.5)],
      [lsn(5), lsn(6)],
    ],
  );
  assert.deepEqual(second?.gaps, [
    { timeline: 2, from: lsn(3.5), to: lsn(5), firstSegment: segment(2, 3), segmentCount: 2 },
  ]);
});

test("a timeline without its history stands alone and says so", () => {
  const held = holdings({ segments: [segment(1, 2), segment(2, 3)] });
  const lineage = walLineage(held, timeline(2));
  assert.equal(lineage.historyHeld, false);
  assert.deepEqual(
    lineage.ranges.map(({ from }) => from),
    [lsn(3)],
  );
});

test("nothing held is no range, and covers nothing", () => {
  const held = holdings({ segments: [] });
  assert.deepEqual(walLineages(held), []);
  assert.equal(coversRange(held, { timeline: timeline(1), from: lsn(1), to: lsn(2) }).kind, "missing");
});

/** A quarter of a segment is the unit of the oracle. */
const UNITS = 48;
const unit = (index: number): Lsn => lsn(index / 4);
type Model = { readonly switches: readonly number[]; readonly held: WalHoldings };

/** Timelines 1, 2, 3 of one lineage, 3 perhaps from before 2 began; any subset of segments of each; a tail here and there. */
const model: fc.Arbitrary<Model> = fc
  .record({
    switches: fc.array(fc.integer({ min: 5, max: UNITS - 5 }), { minLength: 2, maxLength: 2 }),
    segments: fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: UNITS / 4 - 1 })), {
      maxLength: 30,
    }),
    tails: fc.array(
      fc.tuple(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: UNITS / 4 - 1 }),
        fc.integer({ min: 1, max: 3 }),
      ),
      { maxLength: 3 },
    ),
  })
  .map(({ switches, segments, tails }) => {
    const [a = 0, b = 0] = switches;
    const first = { timeline: timeline(1), switchLsn: unit(a) };
    const held = holdings({
      segments: segments.map(([of, number]) => segment(of, number)),
      tails: tails.map(([of, number, quarters]) => ({
        timeline: timeline(of),
        start: lsn(number),
        end: lsn(number + quarters / 4),
      })),
      histories: [
        [2, [first]],
        [3, [first, { timeline: timeline(2), switchLsn: unit(b) }]],
      ],
    });
    return { switches: [0, Math.min(a, b), b], held };
  });

/** Is the quarter segment held in the lineage of timeline 3? Written from the words of PostgreSQL's manual, not from the code. */
function oracle({ switches, held }: Model, index: number): boolean {
  const starts = (of: number): number => switches[of - 1] ?? 0;
  const ends = (of: number): number => switches[of] ?? Number.POSITIVE_INFINITY;
  return [1, 2, 3].some((of) => {
    if (Math.floor(index / 4) < Math.floor(starts(of) / 4) || index >= ends(of)) return false;
    const inSegment = held.segments.includes(segment(of, Math.floor(index / 4)));
    const inTail = held.tails.some(
      (tail) => tail.timeline === of && tail.start <= unit(index) && unit(index) < tail.end,
    );
    return inSegment || inTail;
  });
}

test("ranges hold exactly the bytes that some file of the lineage holds", () => {
  fc.assert(
    fc.property(model, (given) => {
      const { ranges } = walLineage(given.held, timeline(3));
      for (let index = 0; index < UNITS; index += 1) {
        const inRange = ranges.some(({ from, to }) => from <= unit(index) && unit(index) < to);
        assert.equal(inRange, oracle(given, index), `quarter ${index}`);
      }
    }),
  );
});

test("ranges and gaps are in order, and fill what lies between the first byte and the last", () => {
  fc.assert(
    fc.property(model, ({ held }) => {
      const { ranges, gaps } = walLineage(held, timeline(3));
      const pieces = [...ranges.flatMap(({ spans }) => spans), ...gaps].sort((a, b) => (a.from < b.from ? -1 : 1));
      for (const [index, piece] of pieces.entries()) {
        assert.ok(piece.from < piece.to);
        const next = pieces[index + 1];
        if (next !== undefined) assert.equal(piece.to, next.from);
      }
      for (const [index, range] of ranges.entries()) {
        const next = ranges[index + 1];
        if (next !== undefined) assert.ok(range.to < next.from);
      }
    }),
  );
});

test("a stretch is covered exactly when all of its bytes are in ranges, and else the gaps say which are not", () => {
  const stretch = fc.tuple(fc.integer({ min: 0, max: UNITS - 1 }), fc.integer({ min: 0, max: UNITS - 1 }));
  fc.assert(
    fc.property(model, stretch, (given, ends) => {
      const [from = 0, to = 0] = ends.toSorted((a, b) => a - b);
      const covered = coversRange(given.held, { timeline: timeline(3), from: unit(from), to: unit(to) });
      const gaps = covered.kind === "covered" ? [] : covered.gaps;
      for (let index = from; index < to; index += 1) {
        const inGap = gaps.some((gap) => gap.from <= unit(index) && unit(index) < gap.to);
        assert.equal(inGap, !oracle(given, index), `quarter ${index}`);
      }
    }),
  );
});
