/** Tidy: the rules of the house that a program can check, over the whole tree. */
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { dependenciesRule, lockfilesRule } from "./dependencies.ts";
import { exportsDocumentedRule, headersRule } from "./doc-comments.ts";
import { architectureRule, formatsRule, namedPathsRule } from "./documents.ts";
import { layersRule } from "./layers.ts";
import { namesRule } from "./names.ts";
import { parsersRule } from "./parsers.ts";
import { driverRule, portsRule, purityRule, renameRule } from "./ports.ts";
import { sizeRule } from "./size.ts";
import { syncsRule } from "./syncs.ts";
import { testCasesRule } from "./test-cases.ts";
import { placesRule, postponedRule } from "./traces.ts";
import { formatViolation, type Rule, readTree } from "./tree.ts";
import { wordsRule } from "./words.ts";

const RULES: Readonly<Record<string, Rule>> = {
  "names of files and folders say the idea, in kebab-case": namesRule,
  "files and functions are short, and what is not only shrinks": sizeRule,
  "only platform and programs use the machine's clock, files, processes, random source and environment": portsRule,
  "only the durable write renames": renameRule,
  "what node-postgres cannot read ends no process": driverRule,
  "decisions and plans wait for nothing": purityRule,
  "every folder has its place in the direction of imports": layersRule,
  "every export has a doc comment": exportsDocumentedRule,
  "every folder's main file opens with its nouns and invariants": headersRule,
  "test cases are sentences and all of them run": testCasesRule,
  "nothing is postponed in the sources": postponedRule,
  "nothing names the machine it was written on": placesRule,
  "every dependency is explained and pinned": dependenciesRule,
  "lockfiles are complete for every platform": lockfilesRule,
  "documents name only paths that exist, and no line numbers": namedPathsRule,
  "every folder is in the architecture page": architectureRule,
  "every format has a page": formatsRule,
  "every sync has a row that says which test misses it": syncsRule,
  "whatever reads bytes has a row that says what is tried on it": parsersRule,
  "there is one word per thing": wordsRule,
};

const tree = readTree(path.resolve(import.meta.dirname, "../.."));

for (const [name, rule] of Object.entries(RULES)) {
  test(name, () => {
    const found = rule(tree).map(formatViolation);
    assert.ok(found.length === 0, `${found.length} breaches:\n${found.join("\n")}`);
  });
}
