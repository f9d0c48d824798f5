import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import {
  RESTORED_FOLDER,
  restoreSmall,
  TABLESPACES_UNDER,
  takeSmallBackup,
} from "../../test/support/small-restores.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import type { Lsn } from "../postgres/lsn.ts";
import { layoutOf } from "./layout.ts";
import { MOVED_LIST } from "./recovery-files.ts";
import { admitTablespace, ownByLayout, ownByLinks } from "./wal-tablespaces.ts";

const CREATED = { oid: 16501, location: "/srv/place", lsn: 0x3000060n as Lsn };

test("a tablespace made anew where another was is admitted for the recovery that made that one, and for no link that a restore laid", async () => {
  const { files } = memoryFiles();
  await files.makeFolder("/srv");
  const vault = await createTestVault();
  await restoreSmall({ vault, backup: await takeSmallBackup(vault) }, files, "whole");
  const links = path.join(RESTORED_FOLDER, "pg_tblspc");
  const admit = (location: string): Promise<void> =>
    admitTablespace(
      files,
      { ...CREATED, location },
      { make: async () => undefined, own: ownByLinks(files, RESTORED_FOLDER) },
    );
  const refused = (error: unknown): boolean => isLifeboatError(error, "restore.tablespace-in-wal");
  await files.makeFolder("/srv/place/PG_17_202406281");
  await assert.rejects(admit("/srv/place"), refused, "somebody else's");
  // As replay of the record before leaves it, whose tablespace is dropped later in the same segment.
  await files.symlink("/srv/place", path.join(links, "16500"));
  await admit("/srv/place/");
  // The backup's own lay elsewhere: there both would write at once.
  assert.equal(await files.readLink(path.join(links, "16400")), `${TABLESPACES_UNDER}/16400`);
  await assert.rejects(admit(`${TABLESPACES_UNDER}/16400`), refused);
  await files.remove(path.join(RESTORED_FOLDER, MOVED_LIST));
  await assert.rejects(admit("/srv/place"), refused, "a restore of before did not say which were moved");
});

test("a tablespace made anew in the folder of one that the backup has is the restore's own where that one lies as it lay", async () => {
  const tablespaces = [
    { oid: 16400, location: "/srv/kept" },
    { oid: 16401, location: "/srv/left" },
  ];
  const byOid = new Map([
    [16400, "/srv/kept"],
    [16401, "/srv/kept-not"],
  ]);
  const own = ownByLayout(layoutOf("/srv/data", tablespaces, { byOid, under: undefined }), tablespaces);
  const answers = ["/srv/kept", "/srv/left", "/srv/kept-not"].map((location) => own({ oid: 16501, location }));
  assert.deepEqual(await Promise.all(answers), [true, false, false]);
  assert.equal(await own({ oid: 16401, location: "/srv/kept-not" }), true);
});
