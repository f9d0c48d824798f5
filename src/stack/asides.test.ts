/** Data directories that went astray are rebuilt, and what they held can be put back exactly. */
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { type Story, testPowerCuts } from "../../test/support/power-cuts.ts";
import {
  ASIDES_FOLDER,
  contentOf,
  goAstray,
  letGoSmall,
  memoryLocks,
  OLD_FOLDER,
  putBackNewest,
  putBackSmall,
  putBackThere,
  rebuildSmall,
  smallAsides,
  smallPassingAsides,
} from "../../test/support/small-nodes.ts";
import {
  differencesFrom,
  LARGE_FILE,
  RESTORED_FOLDER,
  restoreSmall,
  SMALL_SERVER,
  serverWithLargeFile,
  takeSmallBackup,
} from "../../test/support/small-restores.ts";
import { testStack } from "../../test/support/stacks.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { type Files, fileErrorOf } from "../platform/files.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import { CONTROL_FILE_PATH } from "../postgres/control-file.ts";
import { checkOutside, layoutOf } from "../restore/layout.ts";
import { ownFoldersOf, tablespacesOf } from "./asides.ts";

/** Files that are put back are alike: usually every so many-th effect is cut. */
const PUT_BACK_STRIDE = 25;

const MIB = 1024 * 1024;
const vault = await createTestVault();
const from = { vault, backup: await takeSmallBackup(vault) };

/** A node that went astray, and what it has. */
async function astray(turn = 0): Promise<{ readonly files: Files; readonly old: ReadonlyMap<string, string> }> {
  const { files } = memoryFiles();
  await files.makeFolder("/srv");
  await restoreSmall(from, files, "whole");
  await goAstray(files, "astray", turn);
  return { files, old: await contentOf(files, RESTORED_FOLDER) };
}

const TWO = [16400, 16401].map((oid) => ({ oid, location: `/primary/${oid}` }));

async function overwrite(files: Files, file: string, text: string): Promise<void> {
  const handle = await files.open(file, "update");
  await handle.write(Buffer.from(text), 0);
  await handle.close();
}

test("a rebuild is refused, with nothing changed, over a tablespace that the backup has not and that would not be kept", async () => {
  const { files } = await astray();
  await files.symlink("/srv/later", path.join(RESTORED_FOLDER, "pg_tblspc/16500"));
  await files.makeFolder("/srv/later/PG_16_202307071");
  const before = await contentOf(files, RESTORED_FOLDER);
  await assert.rejects(rebuildSmall(from, files, "primary"), (error) => {
    assert.ok(isLifeboatError(error, "stack.rejoin-refused"), String(error));
    assert.match(error.message, /tablespace 16500 in \/srv\/later,/);
    return true;
  });
  assert.deepEqual([await contentOf(files, RESTORED_FOLDER), await smallAsides(files)], [before, []]);

  // Nothing lies there: it may be rebuilt, and what is put back does not lead to where the rebuilt node may write.
  await files.removeTree("/srv/later/PG_16_202307071");
  await rebuildSmall(from, files, "primary");
  const [aside = ""] = await smallAsides(files);
  await putBackThere(from, files, aside);
  assert.equal(await files.stat(path.join(OLD_FOLDER, "pg_tblspc/16500")), undefined);
  assert.equal((await files.stat(path.join(OLD_FOLDER, "pg_tblspc/16400")))?.kind, "link");
});

test("the old data that is put back elsewhere does not lead to the folder of the rebuilt node", async () => {
  const { files } = await astray();
  await overwrite(files, path.join(RESTORED_FOLDER, "postgresql.conf"), `data_directory = '${RESTORED_FOLDER}'\n`);
  await rebuildSmall(from, files, "primary");
  const [aside = ""] = await smallAsides(files);
  await putBackThere(from, files, aside);
  assert.match(
    `${await files.readFile(path.join(OLD_FOLDER, "postgresql.conf"))}`,
    /^# Taken out .*: data_directory = /,
  );
});

test("old data that is started to look at neither follows nor confirms as the node, archives nothing, and is not at its address", async () => {
  const { files } = await astray();
  const configuration = path.join(RESTORED_FOLDER, "postgresql.auto.conf");
  await overwrite(files, path.join(RESTORED_FOLDER, "recovery.signal"), "");
  await files.rename(path.join(RESTORED_FOLDER, "recovery.signal"), path.join(RESTORED_FOLDER, "standby.signal"));
  const ofNode = {
    primary_conninfo: "application_name=db_replica",
    primary_slot_name: "db_replica",
    synchronous_standby_names: "ANY 1 (db)",
    archive_mode: "on",
    restore_command: "cp /archive/%f %p",
    listen_addresses: "*",
  };
  const lines = Object.entries(ofNode).map(([name, value]) => `${name} = '${value}'\n`);
  await overwrite(files, configuration, lines.join(""));
  await rebuildSmall(from, files, "primary");
  const [aside = ""] = await smallAsides(files);
  await putBackThere(from, files, aside);
  assert.ok((await files.stat(path.join(OLD_FOLDER, "standby.signal"))) !== undefined, "a standby stays one");
  const text = `${await files.readFile(path.join(OLD_FOLDER, "postgresql.auto.conf"))}`;
  for (const [name, value] of Object.entries(ofNode)) {
    const values = [...text.matchAll(new RegExp(`^${name} = '?(.*?)'?$`, "gm"))].map((match) => match[1]);
    assert.deepEqual([values[0], values.at(-1)], [value, name === "archive_mode" ? "off" : ""]);
  }
});

test("old data is put back where it leaves room for the WAL of who else writes there, else refused before anything is written", async () => {
  const { files } = await astray();
  await rebuildSmall(from, files, "primary");
  const [aside = ""] = await smallAsides(files);
  const holding = (freeBytes: number): Files => ({
    ...files,
    space: async (file) => ({ ...(await files.space(file)), freeBytes }),
  });
  let neededBytes = 0;
  await assert.rejects(putBackThere(from, holding(0), aside), (error) => {
    assert.ok(isLifeboatError(error, "restore.no-space"), String(error));
    neededBytes = Number(error.details["neededBytes"]);
    return true;
  });
  assert.equal(await files.stat(OLD_FOLDER), undefined);
  await assert.rejects(putBackThere(from, holding(neededBytes - 1), aside), { code: "restore.no-space" });
  await putBackThere(from, holding(neededBytes), aside);
  const written = [...(await contentOf(files, OLD_FOLDER)).values()].reduce((bytes, each) => bytes + each.length, 0);
  assert.ok(neededBytes >= 256 * MIB + written, `${neededBytes} for ${written}`);
  assert.ok(neededBytes < 256 * MIB + 2 * written);
});

test("old data is not put into the vault, the spool, a node's data or the asides of its stack", async () => {
  const { files } = memoryFiles();
  const stack = testStack();
  for (const own of ownFoldersOf(stack)) {
    const into = checkOutside(files, [path.join(own, "db-7")], ownFoldersOf(stack));
    await assert.rejects(into, { code: "restore.target-in-vault" }, own);
  }
  assert.ok(ownFoldersOf(stack).includes(path.join(stack.place.folder, "aside")));
  await checkOutside(files, [path.join(stack.place.folder, "old")], ownFoldersOf(stack));
});

test("the tablespaces of a rebuilt node lie where it has them, else beside it", async () => {
  const { files } = await astray();
  const { tablespaceFolders: kept } = layoutOf(RESTORED_FOLDER, TWO, await tablespacesOf(files, RESTORED_FOLDER));
  assert.deepEqual([kept.get(16400), kept.get(16401)], ["/srv/tablespaces/16400", "/srv/restored.tablespaces/16401"]);
  const { tablespaceFolders: made } = layoutOf("/srv/gone", TWO, await tablespacesOf(files, "/srv/gone"));
  assert.deepEqual([...made.values()], ["/srv/gone.tablespaces/16400", "/srv/gone.tablespaces/16401"]);
});

test("what a rebuild writes over is kept, is the old data again together with the vault, and goes when it is let go", async () => {
  for (const turn of [0, 1, 2, 3]) {
    const { files, old } = await astray(turn);
    await rebuildSmall(from, files, "primary");
    assert.deepEqual(await differencesFrom(SMALL_SERVER, files), []);
    const [aside = ""] = await smallAsides(files);
    assert.deepEqual(await putBackSmall(from, files, aside), old);
    // Whatever becomes of the folder: a server that was started on it and replays, even.
    await overwrite(files, path.join(RESTORED_FOLDER, "base/5/16388"), "replayed");
    assert.deepEqual(await putBackSmall(from, files, aside), old);
    await letGoSmall(files);
    assert.deepEqual(await files.list(path.dirname(aside)), []);
  }
});

test("what a node had that took writes which nobody else has stays when it streams, whatever is kept of it afterwards, and is the old data again", async () => {
  const { files, old } = await astray();
  await rebuildSmall(from, files, "primary", undefined, true);
  const [lasting = ""] = await smallAsides(files);
  assert.deepEqual(await smallPassingAsides(files), []);
  await goAstray(files, "once more");
  await rebuildSmall(from, files, "primary");
  const [first, second] = await smallAsides(files);
  assert.deepEqual([first, await smallPassingAsides(files)], [lasting, [second]]);
  assert.deepEqual(await putBackSmall(from, files, lasting), old);
});

test("as long as what was to come first has not come, nothing is written over and nothing kept; where it fails, never", async () => {
  const { files, old } = await astray();
  const failed = rebuildSmall(from, files, "primary", async () => {
    assert.deepEqual(await contentOf(files, RESTORED_FOLDER), old);
    throw new LifeboatError("platform.file-failed", { message: "it cannot be read", remedy: "Look at the disk." });
  });
  await assert.rejects(failed, { code: "platform.file-failed" });
  assert.deepEqual([await contentOf(files, RESTORED_FOLDER), await smallAsides(files)], [old, []]);
});

test("of a file of pages only those are kept that differ", async () => {
  const { files } = await astray(3);
  await rebuildSmall(from, files, "primary");
  const [aside = ""] = await smallAsides(files);
  assert.equal((await files.stat(path.join(aside, "pages")))?.sizeBytes, 8_192);
});

test("what a rebuild made and never streamed is not kept over what was there before", async () => {
  const { files, old } = await astray();
  await rebuildSmall(from, files, "primary");
  await goAstray(files, "replayed");
  await rebuildSmall(from, files, "standby");
  const [aside = "", ...others] = await smallAsides(files);
  assert.deepEqual(others, []);
  assert.deepEqual(await putBackSmall(from, files, aside), old);
  // It was a primary meanwhile: that is worth keeping.
  await goAstray(files, "promoted");
  await rebuildSmall(from, files, "primary");
  assert.equal((await smallAsides(files)).length, 2);
});

test("an aside whose pages were changed, or whose backup is gone, is not put back as if it were whole", async () => {
  const { files } = await astray();
  await rebuildSmall(from, files, "primary");
  const [aside = ""] = await smallAsides(files);
  const header = JSON.parse((await files.readFile(path.join(aside, "aside.json"))).toString("utf8"));
  const other = header.backupId.replace(/.$/, (last: string) => (last === "0" ? "1" : "0"));
  await overwrite(files, path.join(aside, "aside.json"), JSON.stringify({ ...header, backupId: other }));
  const gone = putBackSmall(from, files, aside);
  await assert.rejects(gone, (error) => isLifeboatError(error, "restore.no-backup"));
  await overwrite(files, path.join(aside, "aside.json"), JSON.stringify(header));
  await overwrite(files, path.join(aside, "pages"), "changed");
  const changed = putBackSmall(from, files, aside);
  await assert.rejects(changed, (error) => isLifeboatError(error, "restore.image-incomplete"));
});

test("an aside stays as it was when its rebuild is cut and goes on from a newer backup, which has what the other one removed", async () => {
  const { files } = await astray();
  const own = serverWithLargeFile(4, () => true);
  const newer = { vault, backup: await takeSmallBackup(vault, own) };
  const large = path.join(RESTORED_FOLDER, LARGE_FILE);
  const content = own.files.find((file) => file.path === LARGE_FILE);
  assert.ok(content?.kind === "file");
  const handle = await files.open(large, "create");
  await handle.write(Buffer.from(content.content), 0);
  await handle.write(Buffer.from("rows that nobody else has"), 8192);
  await handle.close();
  const old = await contentOf(files, RESTORED_FOLDER);
  const removeTree = async (at: string): Promise<void> => {
    if (at.startsWith(RESTORED_FOLDER)) throw fileErrorOf("remove", at, "EIO");
    await files.removeTree(at);
  };
  await assert.rejects(rebuildSmall(from, { ...files, removeTree }, "primary"), { code: "platform.file-failed" });
  await rebuildSmall(newer, files, "unfinished");
  assert.deepEqual(await differencesFrom(own, files), []);
  const [aside = "", ...others] = await smallAsides(files);
  assert.deepEqual(others, []);
  assert.deepEqual(await putBackSmall(from, files, aside), old);
});

/** Files of which one is opened, or one folder listed, only when something else was done. */
function awaiting(files: Files, name: string, first: () => Promise<void>): Files {
  const before = async (file: string): Promise<void> => {
    if (file.startsWith(ASIDES_FOLDER) && file.endsWith(name)) await first();
  };
  return {
    ...files,
    open: async (file, ...how) => {
      await before(file);
      return await files.open(file, ...how);
    },
    list: async (folder) => {
      await before(folder);
      return await files.list(folder);
    },
  };
}

for (const moment of ["/pages", "/removed/0"]) {
  test(`a node that streams while its old data is put back, at ${moment}: the old data is whole, and goes afterwards`, async () => {
    const { files, old } = await astray();
    await rebuildSmall(from, files, "primary");
    const locks = memoryLocks();
    let asked = 0;
    const streams = async (): Promise<void> => {
      asked += 1;
      assert.equal(await letGoSmall(files, locks), false);
    };
    await putBackNewest(from, awaiting(files, moment, streams), { locks });
    assert.ok(asked > 0);
    assert.deepEqual(await contentOf(files, OLD_FOLDER), old);
    assert.equal(await letGoSmall(files, locks), true);
    assert.deepEqual(await smallAsides(files), []);
    await assert.rejects(putBackNewest(from, files, { locks }), { code: "stack.no-old-data" });
  });
}

test("an aside that somebody removes while it is put back makes nothing that can be started", async () => {
  const { files } = await astray();
  await rebuildSmall(from, files, "primary");
  const [aside = ""] = await smallAsides(files);
  // Its pages were read by then, and of what is not there nothing is missed.
  const away = (): Promise<void> => files.removeTree(aside);
  const removing: Files = {
    ...files,
    stat: async (file) => {
      if (file === path.join(aside, "removed/0")) await away();
      return await files.stat(file);
    },
  };
  await assert.rejects(putBackThere(from, removing, aside), { code: "restore.image-incomplete" });
  assert.equal(await files.stat(path.join(OLD_FOLDER, CONTROL_FILE_PATH)), undefined);
});

test("old data is put back by one command at a time, into a folder that no other restore writes to", async () => {
  const { files, old } = await astray();
  await rebuildSmall(from, files, "primary");
  const [aside = ""] = await smallAsides(files);
  const locks = memoryLocks();
  let asked = 0;
  const meanwhile = async (): Promise<void> => {
    asked += 1;
    await assert.rejects(putBackNewest(from, files, { locks, folder: "/srv/other" }), { code: "stack.busy" });
    await assert.rejects(putBackThere(from, files, aside, { locks }), { code: "restore.target-in-use" });
  };
  await putBackNewest(from, awaiting(files, "/pages", meanwhile), { locks });
  assert.equal(asked, 1);
  assert.deepEqual(await contentOf(files, OLD_FOLDER), old);
});

test("WAL that an aside keeps on its own disk gives no space there, WAL that goes does", async () => {
  const { files } = await astray();
  await files.rename(path.join(RESTORED_FOLDER, "pg_wal"), "/srv/wal");
  await files.symlink("/srv/wal", path.join(RESTORED_FOLDER, "pg_wal"));
  await files.makeFile("/srv/wal/0000000900000000000000AA", {
    sizeBytes: 2 * MIB,
    permissions: 0o600,
    owner: undefined,
  });
  // A segment of 1 MiB is to be laid there.
  const little: Files = {
    ...files,
    space: (file) =>
      file.startsWith("/srv/wal")
        ? Promise.resolve({ freeBytes: MIB / 2, totalBytes: 4 * MIB, device: 2 })
        : files.space(file),
  };
  await assert.rejects(rebuildSmall(from, little, "primary"), (error) => isLifeboatError(error, "restore.no-space"));
  // What it had taken by then takes no space either.
  assert.deepEqual(await files.list(ASIDES_FOLDER), []);
  await restoreSmall(from, little, "delta");
  assert.deepEqual(await differencesFrom(SMALL_SERVER, files), []);
});

/** As on another file system than the data. */
function withoutSecondNames(files: Files): Files {
  const refused = new LifeboatError("platform.file-failed", { message: "it is elsewhere", remedy: "Copy it." });
  return {
    ...files,
    link: (source, to) => (to.includes("/removed/") ? Promise.reject(refused) : files.link(source, to)),
  };
}

test("a copy that would take the last of the aside's disk is not made, and a rebuild keeps nothing of what it took", async () => {
  const { files, old } = await astray(3);
  // Room for the one page that differs.
  let freeBytes = 256 * MIB + 8_192;
  const space: Files["space"] = (file) =>
    file.startsWith(ASIDES_FOLDER) ? Promise.resolve({ freeBytes, totalBytes: MIB, device: 2 }) : files.space(file);
  const failed = rebuildSmall(from, { ...withoutSecondNames(files), space }, "primary", async () => {
    freeBytes -= 8_192;
  });
  await assert.rejects(failed, { code: "restore.no-space", message: /256 MiB free/ });
  assert.deepEqual([await contentOf(files, RESTORED_FOLDER), await files.list(ASIDES_FOLDER)], [old, []]);
});

/** What fails of an aside that is being finished, and whether it is whole by then. */
const FAILURES: Readonly<Record<string, { readonly through: (files: Files) => Files; readonly whole: boolean }>> = {
  "the sync of its pages": {
    through: (files) => ({
      ...files,
      open: async (file, mode, permissions) => {
        const handle = await files.open(file, mode, permissions);
        const sync = (): Promise<void> =>
          file.endsWith("/pages") ? Promise.reject(fileErrorOf("sync", file, "EIO")) : handle.sync();
        return Object.assign(Object.create(handle), { sync });
      },
    }),
    whole: false,
  },
  "a second name": { through: (files) => failingLink(files, "/removed/"), whole: false },
  "the name of its header": { through: (files) => failingLink(files, "/aside.json"), whole: false },
  "the sync of its header's name": {
    through: (files) => ({
      ...files,
      syncFolder: async (folder) => {
        if ((await files.stat(path.join(folder, "aside.json"))) === undefined) return await files.syncFolder(folder);
        throw fileErrorOf("sync", folder, "EIO");
      },
    }),
    whole: true,
  },
};

function failingLink(files: Files, name: string): Files {
  const link: Files["link"] = (source, to) =>
    to.includes(name) ? Promise.reject(fileErrorOf("link", to, "ENOENT")) : files.link(source, to);
  return { ...files, link };
}

test("an aside that cannot be finished takes no space, unless it has its header; nothing is written over", async () => {
  for (const [what, { through, whole }] of Object.entries(FAILURES)) {
    const { files, old } = await astray();
    await assert.rejects(rebuildSmall(from, through(files), "primary"), /link|sync/, what);
    assert.deepEqual(await contentOf(files, RESTORED_FOLDER), old, what);
    const left = (await files.list(ASIDES_FOLDER)).map(({ name }) => name);
    assert.deepEqual(left, whole ? ["db-1"] : [], what);
  }
});

test("an aside that another rebuild of the node takes for left over is not called whole, and nothing is written over", async () => {
  const { files, old } = await astray();
  const first = rebuildSmall(from, files, "primary", async () => {
    const refused = new LifeboatError("restore.target-in-use", { message: "another is at it", remedy: "Wait for it." });
    await assert.rejects(
      rebuildSmall(from, files, "primary", () => Promise.reject(refused)),
      refused,
    );
  });
  await assert.rejects(first, { code: "restore.target-in-use", message: /another rebuild removed it/ });
  assert.deepEqual([await contentOf(files, RESTORED_FOLDER), await files.list(ASIDES_FOLDER)], [old, []]);
});

/** What a power cut right before the first change leaves: whether the old data can be put back. `lost`: whose sync is left out. */
async function survives(through: (files: Files) => Files, lost: string | undefined): Promise<boolean> {
  let armed = false;
  const memory = memoryFiles(() => armed && lost !== undefined && (new Error().stack ?? "").includes(lost));
  const { files } = memory;
  await files.makeFolder("/srv");
  await restoreSmall(from, files, "whole");
  await goAstray(files, "astray");
  const old = await contentOf(files, RESTORED_FOLDER);
  await files.syncFileSystem("/");
  armed = true;
  const cut = new Error("cut");
  const cutting: Files = {
    ...files,
    remove: (file) => (file.endsWith("global/pg_control") ? Promise.reject(cut) : files.remove(file)),
  };
  await assert.rejects(rebuildSmall(from, through(cutting), "primary"), cut);
  armed = false;
  memory.cutPower(() => false);
  const [aside = ""] = await smallAsides(files);
  return await putBackSmall(from, files, aside).then(
    (found) => isDeepStrictEqual(found, old),
    () => false,
  );
}

test("when the first file is changed all of the aside is on stable storage, and is not without any one of its syncs", async () => {
  const asIs = (files: Files): Files => files;
  assert.equal(await survives(asIs, undefined), true);
  assert.equal(await survives(withoutSecondNames, undefined), true);
  for (const [label, by, through] of [
    ["src/restore/aside.ts finish: sync", "PagesWriter.finish", asIs],
    ["src/restore/aside.ts finish: syncFolder", "SecondNames.finish", asIs],
    ["src/restore/aside.ts linkOrCopy: sync", "copyFile", withoutSecondNames],
  ] as const) {
    assert.equal(await survives(through, by), false, label);
  }
});

/** The old directory is put back: it is whole, or cannot start and is put back again. */
function puttingBack(): Story {
  let old: ReadonlyMap<string, string> = new Map();
  let aside = "";
  let done = false;
  return {
    before: async (files) => {
      await files.makeFolder("/srv");
      await restoreSmall(from, files, "whole");
      await goAstray(files, "astray");
      old = await contentOf(files, RESTORED_FOLDER);
      await rebuildSmall(from, files, "primary");
      [aside = ""] = await smallAsides(files);
    },
    live: async (files) => {
      await putBackThere(from, files, aside);
      done = true;
    },
    after: async (files) => {
      const canStart = (await files.stat(path.join(OLD_FOLDER, CONTROL_FILE_PATH))) !== undefined;
      assert.ok(canStart || !done);
      if (!canStart) {
        assert.deepEqual(await putBackSmall(from, files, aside), old);
        return;
      }
      // The control file's other name is there for as long as its way in takes.
      const isOther = (name: string): boolean => !done && name.endsWith(".lifeboat.tmp");
      const found = [...(await contentOf(files, OLD_FOLDER))].filter(([name]) => !isOther(name));
      assert.deepEqual(new Map(found), old);
    },
  };
}

testPowerCuts(
  "an old directory that is put back",
  puttingBack,
  ["src/restore/put-back.ts putBackInto: syncFileSystem"],
  PUT_BACK_STRIDE,
);
