import assert from "node:assert/strict";
import path from "node:path";
import { type Story, testPowerCuts } from "../../test/support/power-cuts.ts";
import {
  differencesFrom,
  RESTORED_FOLDER,
  restoreSmall,
  SMALL_SERVER,
  serverWithLargeFile,
  smallCouldStart,
  TABLESPACES_UNDER,
  takeSmallBackup,
} from "../../test/support/small-restores.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import type { Files } from "../platform/files.ts";
import { UNFINISHED_MARKER } from "./target-guard.ts";

/** Files of a restore are alike: usually every so many-th effect is cut. */
const STRIDE = 25;

const vault = await createTestVault();
const backup = await takeSmallBackup(vault);

const restore = (files: Files, how: "whole" | "delta"): Promise<void> => restoreSmall({ vault, backup }, files, how);
const differences = (files: Files): Promise<readonly string[]> => differencesFrom(SMALL_SERVER, files);

async function marks(files: Files): Promise<readonly string[]> {
  const found: string[] = [];
  for (const folder of [RESTORED_FOLDER, path.join(TABLESPACES_UNDER, "16400")]) {
    if ((await files.stat(path.join(folder, UNFINISHED_MARKER))) !== undefined) found.push(folder);
  }
  return found;
}

async function before(files: Files): Promise<void> {
  await files.makeFolder("/srv");
}

/** It is whole, or cannot start and the next restore clears it. */
async function assertRestorable(files: Files, done: boolean): Promise<void> {
  if (await smallCouldStart(files)) assert.deepEqual(await differences(files), []);
  else {
    assert.ok(!done, "a finished restore can start");
    await restore(files, "whole");
    assert.deepEqual(await differences(files), []);
    assert.deepEqual(await marks(files), []);
  }
  if (done) assert.deepEqual(await marks(files), []);
}

function fresh(): Story {
  let done = false;
  return {
    before,
    live: async (files) => {
      await restore(files, "whole");
      done = true;
    },
    after: (files) => assertRestorable(files, done),
  };
}

/** Of 16 MiB, of which little is written: by descriptor, as threads do, where others wait for one sync of all. */
const LARGE_SERVER = serverWithLargeFile(2_048, (page) => page % 150 === 0);
const largeVault = await createTestVault();
const largeBackup = await takeSmallBackup(largeVault, LARGE_SERVER);

/** It is whole, or cannot start. */
function lent(): Story {
  let done = false;
  return {
    before,
    live: async (files) => {
      await restoreSmall({ vault: largeVault, backup: largeBackup }, files);
      done = true;
    },
    after: async (files) => {
      const started = await smallCouldStart(files);
      assert.ok(started || !done, "a finished restore can start");
      if (started) assert.deepEqual(await differencesFrom(LARGE_SERVER, files), []);
    },
  };
}

testPowerCuts("a restore of a file that is written by descriptor", lent, [], STRIDE);

testPowerCuts(
  "a restore",
  fresh,
  ["src/restore/file-set.ts finish: syncFileSystem", "src/restore/target-guard.ts removeMarks: syncFolder"],
  STRIDE,
);

/** What an earlier restore left is cleared. */
function clearing(): Story {
  let done = false;
  return {
    before: async (files) => {
      await before(files);
      const cut: Files = {
        ...files,
        link: (from, to) => (to.endsWith("pg_control") ? Promise.reject(new Error("cut")) : files.link(from, to)),
      };
      await assert.rejects(restore(cut, "whole"));
    },
    live: async (files) => {
      await restore(files, "whole");
      done = true;
    },
    after: (files) => assertRestorable(files, done),
  };
}

testPowerCuts(
  "a restore over one that was cut short",
  clearing,
  ["src/restore/target-guard.ts clearUnfinished: syncFolder", "src/restore/target-guard.ts removeMarker: syncFolder"],
  STRIDE,
);

/** A data directory that went astray is brought back: before, it is as it was; then it cannot start; then it is whole. */
function inPlace(): Story {
  let done = false;
  const astray = ["base/5/16388", "PG_VERSION"];
  return {
    before: async (files) => {
      await before(files);
      await restore(files, "whole");
      for (const name of astray) {
        const handle = await files.open(path.join(RESTORED_FOLDER, name), "update");
        await handle.write(Buffer.from("??"), 0);
        await handle.close();
      }
      const surplus = await files.open(path.join(RESTORED_FOLDER, "base/5/99999"), "create");
      await surplus.close();
    },
    live: async (files) => {
      await restore(files, "delta");
      done = true;
    },
    after: async (files) => {
      const untouched = (await files.stat(path.join(RESTORED_FOLDER, "base/5/99999"))) !== undefined;
      if ((await smallCouldStart(files)) && untouched) {
        assert.ok(!done);
        assert.deepEqual(await differences(files), ["PG_VERSION", "base/5/16388"]);
        return;
      }
      if (await smallCouldStart(files)) assert.deepEqual(await differences(files), []);
      else {
        assert.ok(!done);
        await restore(files, "delta");
        assert.deepEqual(await differences(files), []);
      }
    },
  };
}

testPowerCuts("a delta restore", inPlace, ["src/restore/restore.ts clearSurplus: syncFolder"], STRIDE);
