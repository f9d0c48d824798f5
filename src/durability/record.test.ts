import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { Instant } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { describedDurability, recordDurability } from "./record.ts";

const TOOLS = { files: systemFiles, random: systemRandom };
const AT = Date.UTC(2026, 10, 26, 12, 0, 1, 250) as Instant;

test("a choice wins over the configuration from then on, and the last one over those before", async () => {
  await withFolder(async (folder) => {
    const file = path.join(folder, "durability.json");
    assert.deepEqual(await describedDurability(systemFiles, file, "quorum"), { mode: "quorum", by: "configuration" });
    await recordDurability(TOOLS, { file, mode: "strict", at: AT }, {});
    await recordDurability(TOOLS, { file, mode: "async", at: AT }, {});
    assert.deepEqual(await describedDurability(systemFiles, file, "quorum"), { mode: "async", by: "choice", at: AT });
  });
});

test("a record that is not understood is refused, and not taken for no choice", async () => {
  await withFolder(async (folder) => {
    const file = path.join(folder, "durability.json");
    const good = { format: "lifeboat-durability", version: 1, mode: "strict", chosenAt: "2026-11-26T12:00:00.000Z" };
    for (const text of ["", "{}", JSON.stringify({ ...good, mode: "safe" }), JSON.stringify({ ...good, version: 2 })]) {
      await writeFile(file, text);
      await assert.rejects(describedDurability(systemFiles, file, "quorum"), (error) =>
        isLifeboatError(error, "durability.record-damaged"),
      );
    }
  });
});
