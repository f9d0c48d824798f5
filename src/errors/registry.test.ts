import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { errorsPage } from "../../tools/errors-doc.ts";
import { type ErrorEntry, type ErrorKind, EXIT, type ExitStatus } from "./entry.ts";
import { ERROR_REGISTRY } from "./registry.ts";

const root = path.resolve(import.meta.dirname, "../..");
const entries: readonly (readonly [string, ErrorEntry])[] = Object.entries(ERROR_REGISTRY);

// Which exit statuses an error of each kind may end with: a script that sees 2 may rely on a mistake of its caller.
const EXITS_OF_KIND: Readonly<Record<ErrorKind, readonly ExitStatus[]>> = {
  operator: [EXIT.usage, EXIT.refused, EXIT.notFound, EXIT.interrupted],
  world: [EXIT.refused, EXIT.notFound, EXIT.damaged, EXIT.world],
  bug: [EXIT.bug],
};

test("each exit status has one meaning and leaves 126 to 129 to the shell", () => {
  const statuses = Object.values(EXIT);
  assert.equal(new Set(statuses).size, statuses.length);
  for (const status of statuses) assert.ok((status >= 2 && status <= 125) || status === EXIT.interrupted, `${status}`);
});

test("every code is concept.what-failed and belongs to the file of its concept", () => {
  for (const file of globSync("codes/*.ts", { cwd: import.meta.dirname })) {
    const concept = path.basename(file, ".ts");
    const text = readFileSync(path.join(import.meta.dirname, file), "utf8");
    for (const match of text.matchAll(/^ {2}"([^"]+)": \{/gm)) {
      assert.match(match[1] ?? "", new RegExp(`^${concept}\\.[a-z0-9]+(-[a-z0-9]+)*$`), file);
    }
  }
});

test("no code is written twice, in one file or in two, so that none hides another", () => {
  const written = globSync("codes/*.ts", { cwd: import.meta.dirname }).flatMap((file) => {
    const text = readFileSync(path.join(import.meta.dirname, file), "utf8");
    return [...text.matchAll(/^ {2}"([^"]+)": \{/gm)].map((match) => match[1]);
  });
  assert.equal(written.length, new Set(written).size);
  assert.deepEqual(new Set(written), new Set(Object.keys(ERROR_REGISTRY)));
});

test("every meaning is one sentence", () => {
  for (const [code, { meaning }] of entries) assert.match(meaning, /^[A-Z`].*[^.]\.$/, code);
});

test("every error ends with a status of its kind", () => {
  for (const [code, { kind, exit }] of entries) {
    assert.ok(EXITS_OF_KIND[kind].includes(exit), `${code} is of kind ${kind} and exits with ${exit}`);
  }
});

test("docs/errors.md says what the registry says", () => {
  const page = readFileSync(path.join(root, "docs/errors.md"), "utf8");
  assert.ok(page === errorsPage(ERROR_REGISTRY), "docs/errors.md is out of date: run npm run generate");
});

test("every code is provoked by some test", () => {
  const own = path.join("src", "errors", "registry.test.ts");
  const tests = globSync("{src,catalog,test,tools,bench}/**/*.ts", { cwd: root })
    .filter((file) => file.endsWith(".test.ts") || file.includes("conformance"))
    .filter((file) => file !== own)
    .map((file) => readFileSync(path.join(root, file), "utf8"));
  const silent = Object.keys(ERROR_REGISTRY).filter((code) => !tests.some((text) => text.includes(code)));
  assert.ok(silent.length === 0, `no test names these codes: ${silent.join(", ")}`);
});
