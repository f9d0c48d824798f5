import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const IMPORT = /^(?:import|export)(?! type)[^;]*? from "([^"]+)"/gm;

test("what a thread loads is ours and Node's: a package would be loaded once for every thread", async () => {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = async (file: URL): Promise<void> => {
    if (seen.has(file.pathname)) return;
    seen.add(file.pathname);
    for (const [, name = ""] of (await readFile(file, "utf8")).matchAll(IMPORT)) {
      if (name.startsWith(".")) await visit(new URL(name, file));
      else if (!name.startsWith("node:")) packages.add(name);
    }
  };
  await visit(new URL("./main.ts", import.meta.url));
  assert.ok(seen.size > 10, `${seen.size} files`);
  assert.deepEqual([...packages], []);
});
