import assert from "node:assert/strict";
import path from "node:path";
import { type Story, testPowerCuts } from "../../test/support/power-cuts.ts";
import { testStack } from "../../test/support/stacks.ts";
import { systemRandom } from "../platform/random.ts";
import { makeFolders } from "./making.ts";
import { hasFolders } from "./observe.ts";
import { makeSecrets, readSecrets, type StackSecrets } from "./secrets.ts";

const stack = testStack();
const { place } = stack;

/** A stack is made, and its vault sealed with one of the secrets. */
function making(): Story {
  let promised: StackSecrets | undefined;
  return {
    before: (files) => files.makeFolder(path.dirname(place.folder)),
    live: async (files) => {
      await makeFolders({ files, stack, user: undefined });
      await makeSecrets({ files, random: systemRandom }, place, { owner: undefined });
      promised = await readSecrets(files, place);
    },
    after: async (files) => {
      if (promised !== undefined) assert.deepEqual(await readSecrets(files, place), promised);
      // What is not there is made again, but only where the sign is missing that all is.
      if (!(await hasFolders(files, place))) return;
      for (const folder of [
        place.vault,
        place.spool,
        place.programCache,
        place.configOf("db"),
        place.dataOf("redis"),
      ]) {
        assert.equal((await files.stat(folder))?.kind, "folder", folder);
      }
    },
  };
}

testPowerCuts("the folders and secrets of a stack", making, [
  "src/stack/making.ts makeFolders: syncFolder 1",
  "src/stack/making.ts makeFolders: syncFolder 2",
]);
