import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import { checkApart, checkLayout, checkOutside, layoutOf, placePath } from "./layout.ts";

const spaces = [
  { oid: 16385, location: "/srv/fast" },
  { oid: 16386, location: "/srv/large" },
  { oid: 16387, location: "pg_tblspc/16387" },
];
const under = { byOid: new Map([[16386, "/new/large/"]]), under: "/new/spaces" };

describe("the layout of a restore", () => {
  test("gives each tablespace its own folder, the named first, and keeps one made in place inside", () => {
    const layout = layoutOf("/new/main/", spaces, under);
    assert.deepEqual(layout.roots, ["/new/main", "/new/spaces/16385", "/new/large"]);
    assert.deepEqual(layout.links, [
      { at: "/new/main/pg_tblspc/16385", target: "/new/spaces/16385" },
      { at: "/new/main/pg_tblspc/16386", target: "/new/large" },
    ]);
    assert.equal(placePath(layout, "base/5/1"), "/new/main/base/5/1");
    assert.equal(placePath(layout, "pg_tblspc"), "/new/main/pg_tblspc");
    assert.equal(placePath(layout, "pg_tblspc/16386"), "/new/large");
    assert.equal(placePath(layout, "pg_tblspc/16386/PG_16_1/5/1"), "/new/large/PG_16_1/5/1");
    assert.equal(placePath(layout, "pg_tblspc/16387/PG_16_1/5/1"), "/new/main/pg_tblspc/16387/PG_16_1/5/1");
    assert.equal(placePath(layout, "lifeboat-outside/pg_hba.conf"), "/new/main/lifeboat-restore/outside/pg_hba.conf");
  });

  test("leaves out what would keep the server from recovering, and what an earlier restore wrote", () => {
    const layout = layoutOf("/new/main", spaces, under);
    const paths = ["tablespace_map", "standby.signal", "recovery.signal", "postmaster.pid", "lifeboat-restore"];
    for (const each of [...paths, "lifeboat-restore/outside/pg_hba.conf", "lifeboat-restore-unfinished"]) {
      assert.equal(placePath(layout, each), undefined, each);
    }
    assert.equal(placePath(layout, "pg_tblspc/16385/lifeboat-restore-unfinished"), undefined);
    assert.equal(placePath(layout, "backup_label"), "/new/main/backup_label");
  });

  test("is refused when a tablespace has no place, naming each", () => {
    assert.throws(
      () => layoutOf("/new/main", spaces, { byOid: new Map(), under: undefined }),
      (error) => {
        assert.ok(isLifeboatError(error, "restore.tablespace-unmapped"));
        return error.message.includes("16385") && error.message.includes("16386") && !error.message.includes("16387");
      },
    );
  });

  test("is refused when one root lies in another or two are the same, however they are written", async () => {
    await withFolder(async (folder) => {
      for (const [main, space] of [
        ["a", "a/b"],
        ["a/b", "a"],
        ["a", "a"],
        ["a/", "a/../a"],
      ] as const) {
        const byOid = new Map([[16385, `${folder}/${space}`]]);
        const layout = layoutOf(`${folder}/${main}`, spaces.slice(0, 1), { byOid, under: undefined });
        await assert.rejects(checkLayout(systemFiles, layout), (error) =>
          isLifeboatError(error, "restore.target-not-empty"),
        );
      }
      const byOid = new Map([[16385, path.join(folder, "ab")]]);
      const apart = layoutOf(path.join(folder, "a"), spaces.slice(0, 1), { byOid, under: undefined });
      await checkLayout(systemFiles, apart);
    });
  });

  test("is refused when a tablespace lies in the data directory by way of a link, also of one that is there already", async () => {
    const { files } = memoryFiles();
    await files.makeFolder("/data/main/space");
    await files.symlink("/data", "/link");
    for (const space of ["/link/main/space", "/link/main", "/link"]) {
      const byOid = new Map([[16385, space]]);
      const layout = layoutOf("/data/main", spaces.slice(0, 1), { byOid, under: undefined });
      await assert.rejects(checkApart(files, layout), { code: "restore.target-not-empty" }, space);
    }
    const apart = { byOid: new Map([[16385, "/link/space"]]), under: undefined };
    await checkApart(files, layoutOf("/link/main", spaces.slice(0, 1), apart));
  });

  test("is refused in the vault, around it, and where a link leads there", async () => {
    const { files } = memoryFiles();
    for (const each of ["/mnt/vault/packs", "/srv"]) await files.makeFolder(each);
    await files.symlink("../mnt", "/srv/disk");
    const own = ["/srv/disk/vault"];
    for (const root of ["/mnt/vault", "/mnt/vault/restored", "/srv/disk/vault/a/b", "/mnt", "/srv/disk"]) {
      await assert.rejects(checkOutside(files, ["/srv/main", root], own), { code: "restore.target-in-vault" }, root);
    }
    await checkOutside(files, ["/mnt/vault-restored", "/srv/disk/restored", "/srv/restored"], own);
  });

  test("is refused when a tablespace's folder holds files", async () => {
    await withFolder(async (folder) => {
      await systemFiles.makeFolder(path.join(folder, "space", "PG_16_1"));
      const byOid = new Map([[16385, path.join(folder, "space")]]);
      const layout = layoutOf(path.join(folder, "main"), spaces.slice(0, 1), { byOid, under: undefined });
      await assert.rejects(checkLayout(systemFiles, layout), (error) =>
        isLifeboatError(error, "restore.target-not-empty"),
      );
    });
  });
});
