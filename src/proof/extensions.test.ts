import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { systemFiles } from "../platform/files.ts";
import { lookForExtensions } from "./extensions.ts";

let folder = "";
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "lifeboat-extensions-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Programs whose folder of extensions has these. */
function programs(name: string, share: string, extensions: readonly string[]) {
  const inside = path.join(folder, name, share);
  mkdirSync(inside, { recursive: true });
  for (const each of extensions) writeFileSync(path.join(inside, `${each}.control`), "");
  const binFolder = path.join(folder, name, "bin");
  return { major: 18, version: "18.1", binFolder, source: "named" } as const;
}

test("programs with both extensions are taken, wherever their folder of extensions lies", async () => {
  for (const share of ["share/postgresql/extension", "share/extension"]) {
    const all = programs(`all-${path.basename(path.dirname(share))}`, share, ["plpgsql", "amcheck", "pg_visibility"]);
    await lookForExtensions(systemFiles, all);
  }
});

test("programs without one are refused before anything is restored, and the message says which and what to do", async () => {
  const poor = programs("poor", "share/postgresql/extension", ["plpgsql", "amcheck"]);
  await assert.rejects(lookForExtensions(systemFiles, poor), {
    code: "proof.extension-missing",
    message: "the PostgreSQL programs on this machine have no pg_visibility, so depth checked cannot be shown",
    remedy: /contrib.*--depth booted/,
  });
});
