import assert from "node:assert/strict";
import { test } from "node:test";
import { namesRule } from "./names.ts";

const messages = (file: string) => namesRule(new Map([[file, ""]])).map(({ message }) => message);

test("a name that says nothing is refused, as a folder and as a file", () => {
  assert.deepEqual(messages("src/utils/lsn.ts"), ['"utils" says nothing: name the idea']);
  assert.deepEqual(messages("src/wal/types.ts"), ['"types" says nothing: name the idea']);
});

test("a name that is not kebab-case is refused", () => {
  assert.deepEqual(messages("src/wal/walReceiver.ts"), ['"walReceiver.ts" is not kebab-case']);
});

test("a kebab-case name and files outside our sources are left alone", () => {
  assert.deepEqual(messages("src/postgres/page-header.server.test.ts"), []);
  assert.deepEqual(messages("LICENSE"), []);
});
