import assert from "node:assert/strict";
import { test } from "node:test";
import { sizeRule } from "./size.ts";

const lines = (count: number) => "\n".repeat(count);
const check = (text: string, ratchet = "{}") =>
  sizeRule(
    new Map([
      ["src/wal/spool.ts", text],
      ["tools/tidy/ratchet.json", ratchet],
    ]),
  ).map(({ message }) => message);

test("a file of 600 lines passes and one of 601 is refused", () => {
  assert.deepEqual(check(lines(600)), []);
  assert.deepEqual(check(lines(601)), ["src/wal/spool.ts has 601 lines, 600 are allowed"]);
});

test("a function of 70 lines passes and one of 71 is refused, whatever its form", () => {
  const refused = "src/wal/spool.ts#fill has 71 lines, 70 are allowed";
  assert.deepEqual(check(`function fill() {${lines(69)}}\n`), []);
  assert.deepEqual(check(`function fill() {${lines(70)}}\n`), [refused]);
  assert.deepEqual(check(`const fill = () => {${lines(70)}};\n`), [refused]);
  assert.deepEqual(check(`class Spool { fill() {${lines(70)}} }\n`), [refused]);
});

test("a group of tests may be longer than a function", () => {
  assert.deepEqual(check(`describe("spool", () => {${lines(200)}});\n`), []);
});

test("what stands in the ratchet may stay, may not grow, and must be lowered when it shrinks", () => {
  const ratchet = '{ "src/wal/spool.ts": 700 }';
  assert.deepEqual(check(lines(700), ratchet), []);
  assert.deepEqual(check(lines(701), ratchet), ["src/wal/spool.ts has 701 lines, 700 are allowed"]);
  assert.deepEqual(check(lines(650), ratchet), [
    "src/wal/spool.ts has shrunk: lower its entry in tools/tidy/ratchet.json to 650",
  ]);
  assert.deepEqual(check(lines(10), ratchet), ["src/wal/spool.ts has shrunk: take it out of tools/tidy/ratchet.json"]);
});

test("a ratchet entry of a file that is gone is refused", () => {
  assert.deepEqual(check("", '{ "src/gone.ts": 700 }'), ["src/gone.ts is no more: take it out"]);
});
