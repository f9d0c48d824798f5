import assert from "node:assert/strict";
import { type Story, testPowerCuts } from "../../../test/support/power-cuts.ts";
import { isLifeboatError } from "../../errors/error.ts";
import type { Files } from "../../platform/files.ts";
import { systemRandom } from "../../platform/random.ts";
import type { Store } from "../store.ts";
import { openDiskStore } from "./disk-store.ts";

const ROOT = "/srv/vault";
const CONTENT = Buffer.alloc(10_000, "content");

function open(files: Files): Promise<Store> {
  return openDiskStore({ folder: ROOT, files, random: systemRandom });
}

async function keysOf(store: Store): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list("")) keys.push(key);
  return keys;
}

/** What was acknowledged is there and whole, what was deleted is gone, and what is there is whole. */
async function assertKept(files: Files, promised: ReadonlyMap<string, "there" | "gone">): Promise<void> {
  if (promised.size === 0 && (await files.stat(ROOT)) === undefined) return;
  const store = await open(files);
  const keys = await keysOf(store);
  for (const key of keys) assert.ok((await store.get(key)).equals(CONTENT), `${key} is not whole`);
  for (const [key, state] of promised) assert.equal(keys.includes(key), state === "there", `${key} is not ${state}`);
  await store.put("packs/zz/later", [CONTENT]);
}

function puts(): Story {
  const promised = new Map<string, "there" | "gone">();
  return {
    before: (files) => files.makeFolder("/srv"),
    live: async (files) => {
      const store = await open(files);
      for (const key of ["vault.json", "packs/ab/1", "packs/ab/2", "keys/1/2"]) {
        await store.put(key, [CONTENT.subarray(0, 4000), CONTENT.subarray(4000)]);
        promised.set(key, "there");
      }
      promised.delete("packs/ab/1");
      await store.delete("packs/ab/1");
      promised.set("packs/ab/1", "gone");
    },
    after: (files) => assertKept(files, promised),
  };
}

testPowerCuts("objects put and deleted", puts, [
  "src/platform/durable.ts makeFolderDurable: syncFolder",
  "src/platform/durable.ts writeAndSync: sync",
  "src/platform/durable.ts writeDurable: syncFolder",
  "src/store/disk/disk-store.ts delete: syncFolder",
  "src/store/disk/disk-store.ts makeFolder: syncFolder",
]);

/** Files of a process that is killed once it has done so many calls of this kind. */
function killedAfter(files: Files, kind: "link" | "makeFolder" | "remove", calls: number): Files {
  let done = 0;
  const dead = (): Promise<never> => Promise.reject(new Error("this process was killed"));
  const counted = async <T>(work: () => Promise<T>): Promise<T> => {
    if (done >= calls) return dead();
    const result = await work();
    done += 1;
    return done >= calls ? dead() : result;
  };
  const alive = <T>(work: () => Promise<T>): Promise<T> => (done >= calls ? dead() : work());
  return {
    ...files,
    link: (from, to) => (kind === "link" ? counted(() => files.link(from, to)) : alive(() => files.link(from, to))),
    makeFolder: (...of) =>
      kind === "makeFolder" ? counted(() => files.makeFolder(...of)) : alive(() => files.makeFolder(...of)),
    remove: (file) => (kind === "remove" ? counted(() => files.remove(file)) : alive(() => files.remove(file))),
    syncFolder: (folder) => alive(() => files.syncFolder(folder)),
  };
}

/** Another process was killed between giving a name and syncing its folder; this one finds the name and tells others. */
function found(how: (store: Store) => Promise<boolean>): () => Story {
  return () => {
    const promised = new Map<string, "there" | "gone">();
    return {
      before: async (files) => {
        await files.makeFolder("/srv");
        await (await open(files)).put("packs/ab/1", [CONTENT]);
      },
      live: async (files) => {
        const killed = await open(killedAfter(files, "link", 1));
        await assert.rejects(killed.put("packs/ab/2", [CONTENT]));
        if (await how(await open(files))) promised.set("packs/ab/2", "there");
      },
      after: (files) => assertKept(files, promised),
    };
  };
}

const settle = ["src/store/disk/disk-store.ts settle: syncFolder"];
const taken = ["src/store/disk/disk-store.ts explainTaken: syncFolder"];
testPowerCuts(
  "an object found by asking for it",
  found(async (store) => (await store.head("packs/ab/2")) !== undefined),
  settle,
);
testPowerCuts(
  "an object found by listing",
  found(async (store) => (await keysOf(store)).includes("packs/ab/2")),
  settle,
);
testPowerCuts(
  "an object found by putting it again",
  found(async (store) => {
    const failure: unknown = await store.put("packs/ab/2", [CONTENT]).catch((error: unknown) => error);
    return isLifeboatError(failure, "store.object-exists");
  }),
  taken,
);

/** Another process was killed between making a folder and syncing the one above. */
function foundFolder(calls: number): () => Story {
  return () => {
    const promised = new Map<string, "there" | "gone">();
    return {
      before: (files) => files.makeFolder("/srv"),
      live: async (files) => {
        const put = async (store: Store) => store.put("packs/ab/1", [CONTENT]);
        await assert.rejects(open(killedAfter(files, "makeFolder", calls)).then(put));
        await put(await open(files));
        promised.set("packs/ab/1", "there");
      },
      after: (files) => assertKept(files, promised),
    };
  };
}

testPowerCuts("a root that another process made and did not sync", foundFolder(1), [
  "src/platform/durable.ts syncNameFound: syncFolder",
]);
testPowerCuts("a folder that another process made and did not sync", foundFolder(3), []);
