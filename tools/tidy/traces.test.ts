import assert from "node:assert/strict";
import { test } from "node:test";
import { placesRule, postponedRule } from "./traces.ts";

const places = (text: string, file = "src/wal/spool.ts") => placesRule(new Map([[file, text]])).length;

test("postponed work is refused", () => {
  assert.equal(postponedRule(new Map([["src/a.ts", "// TODO: sync"]])).length, 1);
  assert.equal(postponedRule(new Map([["src/a.ts", "const todos = 1;"]])).length, 0);
});

test("a home folder, a workplace folder and a registry host are refused", () => {
  assert.equal(places('const at = "/home/anna/vault";'), 1);
  assert.equal(places("see /work/main for it"), 1);
  assert.equal(places("see ../shared/design.md"), 1);
  assert.equal(places("https://registry.example.org/"), 1);
});

test("a path that only looks like one passes", () => {
  assert.equal(places("src/work/main.ts, network/work/x, ../shared-memory, ../errors/registry.ts"), 0);
  assert.equal(places('resolve("/home/alice")', "src/config/resolve.test.ts"), 0);
  assert.equal(places("/var/lib/postgresql and /etc/lifeboat"), 0);
});

test("a lockfile with download addresses is refused, and the word elsewhere is not", () => {
  assert.equal(places('  "resolved": "x"', "package-lock.json"), 1);
  assert.equal(places('  "resolved": "catalog"', "package-lock.json"), 0);
  assert.equal(places('  "resolved": "x"', "src/a.json"), 0);
});
