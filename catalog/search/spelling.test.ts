import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { editsBetween, mend, wordsOf } from "./spelling.ts";

test("an edit is a letter put in, left out, changed, or swapped with its neighbour", () => {
  for (const [a, b, edits] of [
    ["mouse", "mouse", 0],
    ["mouse", "muose", 1],
    ["mouse", "mose", 1],
    ["mouse", "mousse", 1],
    ["mouse", "house", 1],
    ["kettle", "battle", 2],
    ["", "abc", 3],
  ] as const) {
    assert.equal(editsBetween(a, b), edits, `${a} ${b}`);
    assert.equal(editsBetween(b, a), edits, `${b} ${a}`);
  }
});

test("unknown words give way to the nearest known ones, and words near nothing are left out", () => {
  const mended = mend([
    { word: "wireless", isKnown: true, near: [] },
    { word: "muose", isKnown: false, near: ["mouse", "moose", "house", "mousepad"] },
    { word: "qqqqqq", isKnown: false, near: [] },
  ]);
  assert.deepEqual(mended, { text: "wireless mouse", query: "wireless & (mouse | moose)" });
  assert.equal(mend([{ word: "wireless", isKnown: true, near: [] }]), undefined);
  assert.equal(mend([{ word: "qqqqqq", isKnown: false, near: ["kettle"] }]), undefined);
});

test("the words of a query are plain: nothing of it is an operator", () => {
  assert.deepEqual(wordsOf("Tea & (kettle | !x):*  'Über' tea"), ["tea", "kettle", "x", "über"]);
});

test("a cursor comes back as it was made, and anything else is none", () => {
  const cursor = { sort: "newest", value: "2026-04-18 09:30:00.123456+00", id: 7 } as const;
  assert.deepEqual(decodeCursor(encodeCursor(cursor)), cursor);
  for (const text of ["", "none", encodeCursor(cursor).slice(3), Buffer.from("[2]").toString("base64url")]) {
    assert.equal(decodeCursor(text), undefined);
  }
});
