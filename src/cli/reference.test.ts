import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { referencePage } from "../../tools/reference-doc.ts";
import { SETTING_ROWS } from "../config/schema.ts";
import { VERBS } from "./verbs.ts";

const page = readFileSync(path.resolve(import.meta.dirname, "../../docs/reference.md"), "utf8");

test("docs/reference.md says what the declarations say", () => {
  assert.ok(page === referencePage(VERBS), "docs/reference.md is out of date: run npm run generate");
});

test("the reference names every command and every setting", () => {
  for (const verb of VERBS) assert.ok(page.includes(`### lifeboat ${verb.path.join(" ")}`), verb.path.join(" "));
  for (const { name } of SETTING_ROWS) assert.ok(page.includes(`| \`${name}\` |`), name);
});
