import assert from "node:assert/strict";
import { test } from "node:test";
import { parseControl } from "./control.ts";

test("a fault may have a label and a time, in this order, and both may be left out", () => {
  const mark = (label: string, atMs?: number) => ({ kind: "mark", label, atMs });
  assert.deepEqual(parseControl("fault"), mark("fault"));
  assert.deepEqual(parseControl("fault kill9 "), mark("kill9"));
  assert.deepEqual(parseControl("fault 1776500000.25"), mark("fault", 1_776_500_000_250));
  assert.deepEqual(parseControl("fault kill9 1776500000"), mark("kill9", 1_776_500_000_000));
});

test("stop is understood, and what is not understood is given back", () => {
  assert.deepEqual(parseControl("stop"), { kind: "stop" });
  for (const line of ["", "stop now", "Fault", "fault a b", "halt"]) {
    assert.deepEqual(parseControl(line), { kind: "unknown", line });
  }
});
