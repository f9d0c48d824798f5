import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { layersRule, lintOverrides } from "./layers.ts";

const root = path.resolve(import.meta.dirname, "../..");

test("a folder without a place in the table, or a lint file that says something else, is refused", () => {
  const lint = JSON.stringify({ overrides: lintOverrides() });
  const check = (file: string, text: string) =>
    layersRule(
      new Map([
        [file, ""],
        [".oxlintrc.json", text],
      ]),
    ).length;
  assert.equal(check("src/wal/spool.ts", lint), 0);
  assert.equal(check("src/somewhere/spool.ts", lint), 1);
  assert.equal(check("catalog/ingest/row.ts", lint), 0);
  assert.equal(check("catalog/somewhere/row.ts", lint), 1);
  assert.equal(check("src/wal/spool.ts", "{}"), 1);
});

test("lint refuses imports against the direction, and lets tests and the right direction pass", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "layers-"));
  try {
    cpSync(path.join(root, ".oxlintrc.json"), path.join(folder, ".oxlintrc.json"));
    const planted: Readonly<Record<string, string>> = {
      "src/platform/a.ts": "../vault/vault.ts",
      "src/store/disk/a.ts": "../../backup/plan.ts",
      "src/wal/a.ts": "../config/schema.ts",
      "src/vault/a.ts": "../postgres/wire/frame.ts",
      "src/wal/b.ts": "../../catalog/ingest/row.ts",
      "catalog/schema/a.ts": "../ingest/row.ts",
      "catalog/ingest/a.ts": "../../src/wal/spool.ts",
      "catalog/ingest/good.ts": "../database/pool.ts",
      "catalog/schema/good.ts": "../../src/platform/clock.ts",
      "src/vault/good.ts": "../postgres/lsn.ts",
      "src/cli/good.ts": "../config/schema.ts",
      "src/wal/good.test.ts": "../config/schema.ts",
    };
    for (const [file, imported] of Object.entries(planted)) {
      mkdirSync(path.join(folder, path.dirname(file)), { recursive: true });
      writeFileSync(path.join(folder, file), `import { a } from "${imported}";\nexport const b = a;\n`);
    }
    const refused = [...lint(folder).matchAll(/^(\S+?):\d+:\d+: .*no-restricted-imports/gm)].map(
      (match) => match[1] ?? "",
    );
    assert.deepEqual(
      new Set(refused),
      new Set([
        "src/platform/a.ts",
        "src/store/disk/a.ts",
        "src/vault/a.ts",
        "src/wal/a.ts",
        "src/wal/b.ts",
        "catalog/schema/a.ts",
        "catalog/ingest/a.ts",
      ]),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

function lint(folder: string): string {
  const oxlint = path.join(root, "node_modules/.bin/oxlint");
  try {
    // The format for programs: the one for people is painted where CI is set, even into a pipe.
    const args = ["--disable-nested-config", "--format=unix", "."];
    return execFileSync(oxlint, args, { cwd: folder, encoding: "utf8", stdio: "pipe" });
  } catch (error) {
    if (error instanceof Error && "stdout" in error) return String(error.stdout);
    throw error;
  }
}
