/**
 * The old data directories of rebuilt nodes: kept in `aside` of the stack's folder from before the first change until the node
 * streams again.
 *
 * Invariants: an aside is removed only when its node was seen streaming and nobody reads it, or before it was whole; a *lasting* one,
 * of a node that took writes which nobody else has, by nobody here; what a rebuild
 * itself made of a node, and never streamed, is not kept over what the node had before. The lock of a node's asides is between who reads
 * one and who removes them. Rebuilds need none: of one stack only one process makes them, and of one node one at a time (`daemon.lock`,
 * LocalMachines); `up` restores only over what no aside is kept of; none touches an aside that is whole.
 */
import path from "node:path";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { formatInstant } from "../platform/clock.ts";
import { writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { Locks } from "../platform/lock.ts";
import { ASIDE_HEADER, AsideWriter, readAside } from "../restore/aside.ts";
import { spareBytes } from "../restore/aside-room.ts";
import { type DeltaState, presentTablespaces } from "../restore/delta-guard.ts";
import { layoutOf, TABLESPACES_FOLDER, type TablespaceChoice, withWalFolder } from "../restore/layout.ts";
import { RECOVERY_FOLDER } from "../restore/recovery-files.ts";
import { type PricedPlan, prepareDelta, type RestorePlace, type RestoreTools, runRestore } from "../restore/restore.ts";
import type { NodeName } from "./node-settings.ts";
import type { NodeData } from "./plan.ts";
import type { StackDescription } from "./stack.ts";
import type { CallOptions } from "./tools.ts";

/** In a rebuilt data directory, the name of the aside with what was there before. */
const PREDECESSOR = `${RECOVERY_FOLDER}/aside`;

/** In an aside that stays when its node streams, until somebody removes it. */
const LASTING = "lasting";

type Stack = Pick<StackDescription, "place">;

type AsideTools = { readonly files: Files; readonly locks: Locks };

/** The whole asides of a node, the oldest first. */
export async function asidesOf(files: Files, stack: Stack, node: NodeName): Promise<readonly string[]> {
  const whole: string[] = [];
  for (const { folder } of await foldersOf(files, stack, node)) {
    if ((await readAside(files, folder)) !== undefined) whole.push(folder);
  }
  return whole;
}

/** Those of them that go when the node streams. */
export async function passingAsidesOf(files: Files, stack: Stack, node: NodeName): Promise<readonly string[]> {
  const passing: string[] = [];
  for (const folder of await asidesOf(files, stack, node)) {
    if ((await files.stat(path.join(folder, LASTING))) === undefined) passing.push(folder);
  }
  return passing;
}

/** Where the tablespaces of a node go: where they lie, else beside it. Where the backup's are may be another node's on this machine. */
export function tablespacesOf(files: Files, dataFolder: string): Promise<TablespaceChoice> {
  return presentTablespaces(files, dataFolder, { byOid: new Map(), under: `${dataFolder}.tablespaces` });
}

/** What a restore over a node's data needs. */
type Tools = RestoreTools & Parameters<typeof prepareDelta>[0];

/** Whose data is written over, and what it is. */
type Rebuilt = { readonly stack: Stack; readonly node: NodeName; readonly data: NodeData };

/**
 * Brings a node's data to the plan's state, and keeps aside what that writes over. Returns the bytes that were written.
 * Repeatable: what was cut short goes on, and what it had kept stays. Rejects with `stack.rejoin-refused` where a tablespace could not
 * be kept, and as delta restores do.
 */
export async function restoreKeepingAside(
  tools: Tools,
  { stack, node, data }: Rebuilt,
  {
    plan,
    place,
    lasting = false,
    beforeChange: first,
  }: {
    readonly plan: PricedPlan;
    readonly place: RestorePlace;
    /** The node's old data may be all there is of what it acknowledged: they are kept when it streams, too. */
    readonly lasting?: boolean;
    /** Awaited before anything of the old data is written over. */
    readonly beforeChange?: () => Promise<void>;
  },
  options: CallOptions,
): Promise<number> {
  const { files } = tools;
  let kept: AsideWriter | undefined;
  const takerOf = async (state: DeltaState): Promise<AsideWriter | undefined> => {
    const isOwn = data === "standby" && (await hasPredecessor(files, stack, node));
    if (state.kind !== "data" || isOwn) return kept;
    await refuseUnknownTablespaces(files, place.folder, plan);
    const into = await nextAside(files, stack, node);
    kept = await AsideWriter.begin(files, into, { reserveBytes: spareBytes(plan.walSegmentBytes) });
    const mark = {
      file: path.join(into, LASTING),
      parts: [],
      over: "new",
      permissions: 0o644,
      unique: "lifeboat",
    } as const;
    // Before it is whole: whoever comes after a power cut lets go of what has no such mark.
    if (lasting) await writeDurable(files, mark);
    return kept;
  };
  try {
    const delta = await prepareDelta({ ...tools, takerOf }, plan, place, options);
    const beforeChange = async (): Promise<void> => {
      await first?.();
      if (delta === undefined) return;
      const { systemId, image, backup } = plan;
      const inside = layoutOf(place.folder, plan.tablespaces, place.tablespaces);
      const layout = withWalFolder(inside, delta.state.walFolder);
      const madeAt = formatInstant(tools.clock.now());
      await kept?.finish({ systemId, backupId: backup.backupId, image, layout, survey: delta.survey, madeAt }, options);
    };
    await runRestore(tools, plan, place, { ...options, delta: delta && { ...delta, beforeChange } });
    const aside = (await asidesOf(files, stack, node)).at(-1);
    if (delta !== undefined && aside !== undefined) await notePredecessor(files, { dataFolder: place.folder, aside });
    return delta?.survey.writeBytes ?? plan.writeBytes;
  } catch (error) {
    // What it leaves, the next rebuild of the node removes.
    await kept?.discard().catch(() => undefined);
    throw error;
  } finally {
    await kept?.close();
  }
}

/**
 * An aside keeps what lies in the tablespaces that the backup has. Of another one, which the rebuilt node may make again in the same
 * folder, it would keep the link alone.
 */
async function refuseUnknownTablespaces(
  files: Files,
  folder: string,
  { tablespaces, backup }: Pick<PricedPlan, "tablespaces" | "backup">,
): Promise<void> {
  const known = new Set(tablespaces.map(({ oid }) => oid));
  for (const [oid, target] of (await tablespacesOf(files, folder)).byOid) {
    if (known.has(oid)) continue;
    const location = path.resolve(folder, TABLESPACES_FOLDER, target);
    if (!(await holdsSomething(files, location))) continue;
    throw new LifeboatError("stack.rejoin-refused", {
      message: `${folder} has tablespace ${oid} in ${location}, which backup ${backup.backupId} has not: what lies there would not be kept aside`,
      remedy: `Take a backup of the primary if it has that tablespace, then rebuild again. Else nobody but this node has it: move ${location} away and keep it.`,
    });
  }
}

async function holdsSomething(files: Files, folder: string): Promise<boolean> {
  try {
    return (await files.list(folder)).length > 0;
  } catch (error) {
    if (isLifeboatError(error, "platform.file-missing")) return false;
    throw error;
  }
}

/** Where the next aside of a node goes. Removes what was left before it was whole. */
async function nextAside(files: Files, stack: Stack, node: NodeName): Promise<string> {
  let number = 0;
  for (const each of await foldersOf(files, stack, node)) {
    number = Math.max(number, each.number);
    if ((await readAside(files, each.folder)) === undefined) await files.removeTree(each.folder);
  }
  return path.join(placeOf(stack), `${node}-${number + 1}`);
}

/** Notes in a data directory, before a server was started on it, what it replaced. */
async function notePredecessor(
  files: Files,
  { dataFolder, aside }: { readonly dataFolder: string; readonly aside: string },
): Promise<void> {
  const parts = [Buffer.from(`${path.basename(aside)}\n`)];
  const file = path.join(dataFolder, PREDECESSOR);
  await writeDurable(files, { file, parts, over: "replace", permissions: 0o644, unique: "lifeboat" });
}

/** Whether a data directory is what a rebuild made, and what it replaced is still kept. */
async function hasPredecessor(files: Files, stack: Stack, node: NodeName): Promise<boolean> {
  try {
    const noted = await files.readFile(path.join(stack.place.dataOf(node), PREDECESSOR));
    const aside = path.join(placeOf(stack), path.basename(noted.toString("utf8").trim()));
    return (await readAside(files, aside)) !== undefined;
  } catch (error) {
    if (isLifeboatError(error, "platform.file-missing")) return false;
    throw error;
  }
}

/**
 * Does `work` with the newest aside of a node, which is not removed meanwhile, whether the node streams or not. Rejects with
 * `stack.no-old-data`, and with `stack.busy` while another command has it or it is being removed.
 */
export async function withNewestAside<T>(
  { files, locks }: AsideTools,
  stack: Stack,
  node: NodeName,
  work: (aside: string) => Promise<T>,
): Promise<T> {
  if ((await files.stat(placeOf(stack))) === undefined) throw noOldData(stack, node);
  const lock = locks.tryAcquire(lockOf(stack, node));
  if (lock === undefined) {
    throw new LifeboatError("stack.busy", {
      message: `what ${node} had before a rebuild is being put back by another command, or removed because ${node} streams`,
      remedy: "Wait until that has ended, and run this one again.",
      retryable: true,
    });
  }
  try {
    // Looked for under the lock: what is found stays.
    const aside = (await asidesOf(files, stack, node)).at(-1);
    if (aside === undefined) throw noOldData(stack, node);
    return await work(aside);
  } finally {
    lock.release();
  }
}

/**
 * Removes asides of a node that streams; false where one is being read, and all stay. A header goes first: what is cut short is no
 * aside any more.
 */
export async function removeAsides(
  { files, locks }: AsideTools,
  stack: Stack,
  { node, asides }: { readonly node: NodeName; readonly asides: readonly string[] },
): Promise<boolean> {
  const lock = locks.tryAcquire(lockOf(stack, node));
  if (lock === undefined) return false;
  try {
    for (const folder of asides) {
      await files.remove(path.join(folder, ASIDE_HEADER));
      await files.removeTree(folder);
    }
    return true;
  } finally {
    lock.release();
  }
}

/** Beside the asides: within one it would go with it, and whoever comes next would lock another file. */
function lockOf(stack: Stack, node: NodeName): string {
  return path.join(placeOf(stack), `${node}.lock`);
}

function noOldData({ place }: Stack, node: NodeName): LifeboatError {
  return new LifeboatError("stack.no-old-data", {
    message: `no data is kept that ${node} had before a rebuild`,
    remedy: `It is kept until the node streams. WAL that only it had stays in ${path.join(place.folder, "evidence")}.`,
  });
}

/** Folders of a stack in which nothing may be put that is to stay: what an aside lacks a header for, the next rebuild removes. */
export function ownFoldersOf({ place }: Stack): readonly string[] {
  return [place.vault, place.spool, placeOf({ place }), place.dataOf("db"), place.dataOf("db_replica")];
}

function placeOf({ place }: Stack): string {
  return path.join(place.folder, "aside");
}

async function foldersOf(
  files: Files,
  stack: Stack,
  node: NodeName,
): Promise<readonly { readonly folder: string; readonly number: number }[]> {
  const place = placeOf(stack);
  if ((await files.stat(place)) === undefined) return [];
  return (await files.list(place))
    .flatMap(({ name }) => {
      const number = new RegExp(`^${node}-(\\d+)$`).exec(name)?.[1];
      return number === undefined ? [] : [{ folder: path.join(place, name), number: Number(number) }];
    })
    .toSorted((a, b) => a.number - b.number);
}
