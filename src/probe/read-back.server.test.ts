import assert from "node:assert/strict";
import { chown, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { startServer } from "../../test/support/servers.ts";
import { type Instant, systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { LedgerWriter } from "./ledger.ts";
import { readBack } from "./read-back.ts";
import { checksumOf, makeWriteTable, payloadOf, WRITE_TABLE } from "./write-table.ts";

const CLIENT_ID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
/** More than two pages of the read-back, and numbers of one to four digits. */
const WRITES = 4_500;

test("of thousands of acknowledged writes exactly the missing, damaged and unexpected ones are named", async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-read-back-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const ledgerFile = path.join(folder, "ledger");
  const ledger = await LedgerWriter.create(systemFiles, { file: ledgerFile, clientId: CLIENT_ID });
  const keys = Array.from({ length: WRITES }, (_, index) => ({ clientId: CLIENT_ID, sequence: index + 1 }));
  const acknowledgedAt: Instant = systemClock.now();
  const rows = keys.map((key) => ({ ...key, payload: payloadOf(key) }));
  await Promise.all(
    rows.map((row) => ledger.append({ sequence: row.sequence, acknowledgedAt, checksum: checksumOf(row) })),
  );
  await ledger.close();

  await using server = await startServer({ major: 16 });
  await makeWriteTable(server.server.address(), {});
  const columns = [rows.map((row) => row.sequence), rows.map((row) => row.payload)];
  await server.query(
    `INSERT INTO ${WRITE_TABLE} SELECT '${CLIENT_ID}', s, p, now() FROM unnest($1::bigint[], $2::text[]) AS w(s, p)`,
    columns,
  );
  const request = { connect: server.server.address(), ledgerFile };
  const whole = { acknowledged: WRITES, present: WRITES, missing: [], damaged: [], unexpected: [] };
  assert.deepEqual(await readBack(systemFiles, request), whole);

  await server.query(`DELETE FROM ${WRITE_TABLE} WHERE sequence IN (7, 999, 4500)`);
  await server.query(`UPDATE ${WRITE_TABLE} SET payload = payload || ' ' WHERE sequence = 1000`);
  await server.query(
    `INSERT INTO ${WRITE_TABLE} VALUES ('${CLIENT_ID}', 5001, '', now()), ('another', 5002, '', now())`,
  );
  assert.deepEqual(await readBack(systemFiles, request), {
    acknowledged: WRITES,
    present: WRITES - 4,
    missing: [7, 999, 4500],
    damaged: [1000],
    unexpected: [5001],
  });

  // A standby with all of it proves nothing: it may lack a write that was acknowledged, and nobody would know.
  await server.stop("fast");
  const signal = path.join(server.dataFolder, "standby.signal");
  await writeFile(signal, "");
  const { uid, gid } = await stat(server.dataFolder);
  await chown(signal, uid, gid);
  await server.start();
  await assert.rejects(readBack(systemFiles, request), { code: "probe.reads-standby" });
});
