import assert from "node:assert/strict";
import { rm, stat } from "node:fs/promises";
import { test } from "node:test";
import { takeTestBackup } from "../../test/support/backups.ts";
import { makeLargeTable, SEGMENT_PAGES, wideRows } from "../../test/support/large-table.ts";
import { keptPages, placesOf } from "../../test/support/page-places.ts";
import { startServer } from "../../test/support/servers.ts";
import { assertRestores } from "../../test/support/soundness.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";

test("a table over 1 GiB, changed on both sides of the border, cut back below it and grown again: the deltas restore", async () => {
  await using server = await startServer({ settings: { wal_keep_size: "4GB" } });
  const file = await makeLargeTable(server);
  const pagesOf = async (segment: string): Promise<number> => (await stat(`${file}${segment}`)).size / BLOCK_BYTES;
  assert.deepEqual([await pagesOf(""), (await pagesOf(".1")) >= 1000], [SEGMENT_PAGES, true]);
  const cutBack = async (): Promise<void> => {
    // VACUUM gives back a thousand empty pages or more, not fewer.
    await server.query(`DELETE FROM large WHERE ctid >= '(${SEGMENT_PAGES - 10},0)'::tid`);
    await server.query("VACUUM large");
    assert.ok(
      (await pagesOf("")) < SEGMENT_PAGES && (await pagesOf(".1")) === 0,
      "VACUUM gave back the second segment",
    );
  };
  const vault = await createTestVault();
  const table = await server.value("SELECT pg_relation_filepath('large')");
  const full = await takeTestBackup(server, vault);
  await server.query("UPDATE large SET id = -id WHERE id IN (5, 6, 1005, 1006, 1150)");
  const changed = await takeTestBackup(server, vault);
  assert.equal(changed.whyFull, null);
  const [before, after] = [await placesOf(vault, full), await placesOf(vault, changed)];
  for (const segment of [table, `${table}.1`]) assert.ok(keptPages(before, after, segment).length > 10, segment);
  await cutBack();
  // Without the map of its free space the table grows at its end rather than in the middle.
  await server.stop();
  await rm(`${file}_fsm`);
  await server.start();
  await server.query(wideRows(3001, 4150));
  assert.ok((await pagesOf(".1")) > 1000, "grown again");
  const regrown = await takeTestBackup(server, vault);
  assert.equal(regrown.whyFull, null);
  await assertRestores({ server, vault, backup: regrown });
  await cutBack();
  const cut = await takeTestBackup(server, vault);
  assert.equal(cut.whyFull, null);
  await assertRestores({ server, vault, backup: cut });
});
