import assert from "node:assert/strict";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { PORTS } from "../../test/support/servers.ts";
import { systemRandom } from "../platform/random.ts";
import { UNGOVERNED, writeMandate } from "../wal/mandate.ts";
import { receiverNow } from "./receiver-now.ts";

test("the receiver confirms under the name of its reign, and under none while it is withdrawn", async () => {
  await withFolder(async (spool) => {
    const tools = { files: PORTS.files, random: systemRandom };
    assert.deepEqual(await receiverNow(PORTS.files, { spool }), { name: "lifeboat_vault", withdrawnBy: undefined });
    await writeMandate(tools, spool, { ...UNGOVERNED, epoch: 9, reign: 8 });
    assert.deepEqual(await receiverNow(PORTS.files, { spool }), { name: "lifeboat_vault_e8", withdrawnBy: undefined });
    await writeMandate(tools, spool, { kind: "withdrawn", epoch: 10, contiguousWith: undefined });
    assert.deepEqual(await receiverNow(PORTS.files, { spool }), { name: "lifeboat_vault", withdrawnBy: 10 });
  });
});
