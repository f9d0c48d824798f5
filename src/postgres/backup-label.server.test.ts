import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { giveTo, MAJORS, serverUser, withServer } from "../../test/support/servers.ts";
import { formatBackupLabel, formatTablespaceMap, parseBackupLabel, parseTablespaceMap } from "./backup-label.ts";
import { formatLsn } from "./lsn.ts";

const TIMEOUT = { timeoutMs: 30_000 };

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: its label and tablespace map are read, and written byte for byte`, async () => {
    await withServer({ major, name: "label" }, async (server) => {
      const location = path.join(server.folder, "a space \\ and a backslash");
      await mkdir(location);
      await giveTo(await serverUser(), location);
      await server.query(`create tablespace elsewhere location '${location}'`);
      const session = await server.server.connect({ namesOf: "database" }, {});
      try {
        const [begun] = await session.query("select pg_backup_start('of a test', true)::text as lsn", [], TIMEOUT);
        const [ended] = await session.query("select labelfile, spcmapfile from pg_backup_stop(false)", [], TIMEOUT);
        const text = String(ended?.["labelfile"]);
        const label = parseBackupLabel(Buffer.from(text));
        assert.equal(formatLsn(label.startLsn), begun?.["lsn"]);
        assert.equal(label.label, "of a test");
        assert.equal(label.from, "primary");
        assert.equal(label.timeline, 1);
        assert.equal(label.incrementalFrom, undefined);
        assert.equal(formatBackupLabel(label), text);
        const mapText = String(ended?.["spcmapfile"]);
        const map = parseTablespaceMap(Buffer.from(mapText));
        const oid = await server.value("select oid from pg_tablespace where spcname = 'elsewhere'");
        assert.deepEqual(map, [{ oid: Number(oid), location }]);
        assert.equal(formatTablespaceMap(map), mapText);
      } finally {
        await session.close();
      }
    });
  });
}
