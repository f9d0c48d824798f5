/**
 * Compares a text with the one kept in test/goldens. After a wanted change, run the test once with
 * LIFEBOAT_UPDATE_GOLDENS=1 and look at the difference before it is committed.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

const folder = path.resolve(import.meta.dirname, "../goldens");

/** Fails when `text` is not what test/goldens/`name` holds. */
export function matchesGolden(name: string, text: string): void {
  const file = path.join(folder, name);
  if (process.env["LIFEBOAT_UPDATE_GOLDENS"] === "1") {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  assert.equal(text, readFileSync(file, "utf8"), `test/goldens/${name} says otherwise`);
}
