import assert from "node:assert/strict";
import { test } from "node:test";
import { dependenciesRule, lockfilesRule } from "./dependencies.ts";

const check = (manifest: object, page: string) =>
  dependenciesRule(
    new Map([
      ["package.json", JSON.stringify(manifest)],
      ["docs/dependencies.md", page],
    ]),
  ).map(({ message }) => message);

test("a dependency nobody explains is refused, and so is an explanation of one that is gone", () => {
  const manifest = { dependencies: { pg: "8.23.1" } };
  assert.deepEqual(check(manifest, "| `pg` | 8 | talks to servers |"), []);
  assert.deepEqual(check(manifest, ""), ["has no line that says why pg"]);
  assert.deepEqual(check({}, "| `pg` | 8 | talks to servers |"), ["explains pg, which is no dependency"]);
});

test("a dependency that is not pinned is refused", () => {
  assert.deepEqual(check({ devDependencies: { pg: "^8" } }, "| `pg` |"), ["pg is not pinned: ^8"]);
});

test("an eleventh runtime dependency is refused", () => {
  const names = Array.from({ length: 11 }, (_, index) => `package-${index}`);
  const page = names.map((name) => `| \`${name}\` |`).join("\n");
  const dependencies = Object.fromEntries(names.map((name) => [name, "1.0.0"]));
  assert.deepEqual(check({ dependencies }, page), ["11 runtime dependencies, 10 are allowed"]);
});

test("a lockfile without an optional package it asks for is refused", () => {
  const asking = { "node_modules/a": { optionalDependencies: { "a-linux-x64": "1.0.0" } } };
  const check = (packages: object) => lockfilesRule(new Map([["package-lock.json", JSON.stringify({ packages })]]));
  assert.equal(check(asking).length, 1);
  assert.equal(check({ ...asking, "node_modules/a-linux-x64": {} }).length, 0);
});
