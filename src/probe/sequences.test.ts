import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { rangesHold, Sequences } from "./sequences.ts";

test("numbers in any order become the ranges that hold them and no others", () => {
  const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 60 }));
  fc.assert(
    fc.property(numbers, (added) => {
      const sequences = new Sequences();
      for (const each of added) sequences.add(each);
      const ranges = sequences.report();
      for (let each = 0; each <= 61; each += 1) assert.equal(rangesHold(ranges, each), added.includes(each), `${each}`);
      for (const [index, [first]] of ranges.entries()) {
        if (index > 0) assert.ok(first > (ranges[index - 1]?.[1] ?? 0) + 1);
      }
      assert.equal(sequences.leftOutCount, 0);
    }),
  );
});

test("a set of too many ranges tells how many numbers they lack, and goes on with those that it has", () => {
  const sequences = new Sequences();
  for (let each = 1; each <= 20_010; each += 1) sequences.add(each * 2);
  assert.equal(sequences.leftOutCount, 10);
  sequences.add(3);
  assert.deepEqual(sequences.report()[0], [2, 4]);
  assert.equal(sequences.leftOutCount, 10);
});
