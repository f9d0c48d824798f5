/** A node of a few files, in memory, that went astray and is rebuilt: for tests that repeat both some thousand times. */
import path from "node:path";
import type { Files } from "../../src/platform/files.ts";
import type { Locks } from "../../src/platform/lock.ts";
import { CONTROL_FILE_PATH } from "../../src/postgres/control-file.ts";
import { putBack } from "../../src/restore/put-back.ts";
import {
  asidesOf,
  passingAsidesOf,
  removeAsides,
  restoreKeepingAside,
  withNewestAside,
} from "../../src/stack/asides.ts";
import type { NodeData } from "../../src/stack/plan.ts";
import { FREE_LOCKS } from "./power-cuts.ts";
import { NO_PROCESSES, planSmall, RESTORED_FOLDER, type SmallBackup } from "./small-restores.ts";
import { testStack } from "./stacks.ts";

const STACK_FOLDER = "/srv/stack";
/** Where the asides of its nodes are. */
export const ASIDES_FOLDER: string = `${STACK_FOLDER}/aside`;
/** Where an aside is put back. */
export const OLD_FOLDER = "/srv/old";

/** The stack whose node `db` has its data where small restores go. */
const { place: anyPlace } = testStack();
const stack = { place: { ...anyPlace, folder: STACK_FOLDER, dataOf: () => RESTORED_FOLDER } };

/** Rebuilds the node. */
export async function rebuildSmall(
  from: SmallBackup,
  files: Files,
  data: NodeData,
  beforeChange = async (): Promise<void> => undefined,
  lasting = false,
): Promise<number> {
  const { tools, plan, place } = await planSmall(from, files, "delta");
  const asked = { ...tools, processes: NO_PROCESSES, onCompared: () => undefined };
  return await restoreKeepingAside(asked, { stack, node: "db", data }, { plan, place, lasting, beforeChange }, {});
}

/** The node's whole asides, the oldest first. */
export function smallAsides(files: Files): Promise<readonly string[]> {
  return asidesOf(files, stack, "db");
}

/** Those of them that go when it streams. */
export function smallPassingAsides(files: Files): Promise<readonly string[]> {
  return passingAsidesOf(files, stack, "db");
}

/** Has its asides let go, as when it streams. False: somebody reads one. */
export async function letGoSmall(files: Files, locks: Locks = FREE_LOCKS): Promise<boolean> {
  return await removeAsides({ files, locks }, stack, { node: "db", asides: await smallAsides(files) });
}

/** Writes what its newest aside and the vault make, as the command does. */
export async function putBackNewest(
  from: SmallBackup,
  files: Files,
  { locks, folder }: { readonly locks: Locks; readonly folder?: string },
): Promise<void> {
  await withNewestAside({ files, locks }, stack, "db", (aside) => putBackThere(from, files, aside, { locks, folder }));
}

/** Locks of one process that keep its parts apart, without files. */
export function memoryLocks(): Locks {
  const held = new Set<string>();
  return {
    tryAcquire: (file) => {
      if (held.has(file)) return undefined;
      held.add(file);
      return { release: () => void held.delete(file) };
    },
  };
}

/** Writes what an aside and the vault make of an empty folder to OLD_FOLDER. */
export async function putBackThere(
  { vault }: SmallBackup,
  files: Files,
  aside: string,
  { locks = FREE_LOCKS, folder = OLD_FOLDER }: { readonly locks?: Locks; readonly folder?: string | undefined } = {},
): Promise<void> {
  const tablespaces = { byOid: new Map<number, string>(), under: `${folder}.tablespaces` };
  const place = { folder, tablespaces, owner: undefined };
  await putBack({ vault, files, locks, onProgress: () => undefined }, aside, place, {});
}

/** What it makes, and nothing of it left. */
export async function putBackSmall(
  from: SmallBackup,
  files: Files,
  aside: string,
): Promise<ReadonlyMap<string, string>> {
  await putBackThere(from, files, aside);
  const found = await contentOf(files, OLD_FOLDER);
  await files.removeTree(OLD_FOLDER);
  await files.removeTree(`${OLD_FOLDER}.tablespaces`);
  return found;
}

/** What is added to the configuration of old data that is put back begins with this. */
const ADDED = "\n# Added by lifeboat rebuild --old-data-into;";

/** Every file of a data directory and of its tablespaces, by way of the links to them; no marks of a restore, and not what is added to old data. */
export async function contentOf(files: Files, folder: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const visit = async (at: string, name: string): Promise<void> => {
    for (const entry of await files.list(at)) {
      const [file, each] = [path.join(at, entry.name), path.join(name, entry.name)];
      if (/^\.?lifeboat-restore-/.test(entry.name)) continue;
      if (entry.kind === "file") found.set(each, (await files.readFile(file)).toString("latin1").split(ADDED)[0] ?? "");
      else if (entry.kind === "folder") await visit(file, each);
      else if (name === "pg_tblspc") await visit(await files.readLink(file), each);
      else found.set(each, `a link to ${await files.readLink(file)}`);
      if (entry.kind === "folder") found.set(each, "a folder");
    }
  };
  await visit(folder, "");
  return found;
}

/** Changes the node's data in every way in which a server or a person could; what becomes of files of pages takes turns. */
export async function goAstray(files: Files, word: string, turn = 0): Promise<void> {
  const inData = (name: string): string => path.join(RESTORED_FOLDER, name);
  const change = async (name: string, position: number, sizeBytes?: number): Promise<void> => {
    const handle = await files.open(inData(name), "update");
    if (sizeBytes !== undefined) await handle.truncate(sizeBytes);
    await handle.write(Buffer.from(word), position);
    await handle.close();
  };
  const add = async (name: string, text: string): Promise<void> => {
    await files.remove(inData(name));
    const handle = await files.open(inData(name), "create");
    await handle.write(Buffer.from(text), 0);
    await handle.close();
  };
  const large = "base/5/16388";
  const sizeBytes = (await files.stat(inData(large)))?.sizeBytes ?? 0;
  await change(large, 4_000);
  // It loses its last page, gains pages, gains part of one, or stays as long.
  const sizes = [sizeBytes - 8_192, sizeBytes + 3 * 8_192, sizeBytes + 100, sizeBytes];
  await change(large, 4_100, sizes[turn % sizes.length]);
  await files.remove(inData("base/5/16386"));
  await add("PG_VERSION", word);
  await files.makeFolder(inData("a folder/below"));
  await add("a folder/below/a file", word);
  await add("pg_wal/0000000700000000000000AA", word.repeat(100));
  await files.remove(inData("a link"));
  await files.symlink("/nowhere", inData("a link"));
  // Behind what it says: no server looks at that.
  await change(CONTROL_FILE_PATH, 4_096);
}
