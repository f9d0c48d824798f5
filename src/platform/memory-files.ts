/**
 * Files in memory that a power cut can strike, to test what survives one. Killing a process cannot show that: what it had
 * handed to the kernel stays.
 *
 * Nouns: a *change* is a write, a new length, or a name given or taken; it is *pending* until a sync brings it to the
 * *stable* state. A *power cut* forgets pending changes, all of them or those that a test picks, and ends every handle.
 * Invariants: a file's sync makes its bytes stable and no name, its own included; a folder's sync makes the names in it
 * stable and no bytes; what a rename takes and gives becomes stable together. Pending changes are forgotten in any combination:
 * a file may end early, have its old bytes, or a hole of zeros before bytes that were kept. Modes and owners are never forgotten.
 */
import path from "node:path";
import { assert, LifeboatError } from "../errors/error.ts";
import { type BlockingFile, type FileFacts, type FileHandle, type Files, fileError, type OpenMode } from "./files.ts";
import { shareFile, unshareFile } from "./shared-files.ts";

/** Which kind of sync was asked for. */
export type SyncKind = "sync" | "syncFolder" | "syncFileSystem";

/** Files in memory. */
export type MemoryFiles = {
  readonly files: Files;
  /** The power goes. `keeps` is asked once for each pending change, in the order they were made; default: none is kept. */
  cutPower(keeps?: () => boolean): void;
};

/** Makes an empty file system. Where `skips` says so, a sync does nothing and reports that it was done. */
export function memoryFiles(skips: (kind: SyncKind) => boolean = () => false): MemoryFiles {
  const disk = new Disk(skips);
  return { files: portOf(disk), cutPower: (keeps = () => false) => disk.cutPower(keeps) };
}

type Attributes = { mode: number; uid: number; gid: number };
/** `names` are those that it has now. */
type FileNode = Attributes & { readonly kind: "file"; live: Content; stable: Content; names: number };
type FolderNode = Attributes & { readonly kind: "folder"; live: Map<string, Node>; stable: Map<string, Node> };
type LinkNode = Attributes & { readonly kind: "link"; readonly target: string };
type Node = FileNode | FolderNode | LinkNode;

const EMPTY = Buffer.alloc(0);

/** Buffer.from would write zeros first. */
function copyOf(data: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafe(data.byteLength);
  copy.set(data);
  return copy;
}

/** Bytes that grow without being copied each time. A copy shares them until one of the two is changed. */
class Content {
  #room = EMPTY;
  #lengthBytes = 0;
  /** From here on the room was never written to: zeros. */
  #blankFrom = 0;
  #isShared = false;

  get bytes(): Buffer {
    return this.#room.subarray(0, this.#lengthBytes);
  }

  write(data: Buffer, position: number): void {
    const end = position + data.byteLength;
    this.resize(Math.max(this.#lengthBytes, position));
    this.#own(Math.max(this.#lengthBytes, end));
    data.copy(this.#room, position);
    this.#blankFrom = Math.max(this.#blankFrom, end);
    this.#lengthBytes = Math.max(this.#lengthBytes, end);
  }

  resize(lengthBytes: number): void {
    if (lengthBytes > this.#lengthBytes) {
      this.#own(lengthBytes);
      this.#room.fill(0, this.#lengthBytes, Math.max(this.#lengthBytes, Math.min(lengthBytes, this.#blankFrom)));
    }
    this.#lengthBytes = lengthBytes;
  }

  /** Has room for so much that nobody else sees. */
  #own(lengthBytes: number): void {
    const { byteLength } = this.#room;
    if (!this.#isShared && lengthBytes <= byteLength) return;
    const room = Buffer.alloc(lengthBytes <= byteLength ? byteLength : Math.max(lengthBytes, 2 * byteLength));
    this.bytes.copy(room);
    this.#room = room;
    this.#blankFrom = this.#lengthBytes;
    this.#isShared = false;
  }

  copy(): Content {
    const made = new Content();
    made.#room = this.#room;
    made.#lengthBytes = this.#lengthBytes;
    made.#blankFrom = this.#blankFrom;
    made.#isShared = true;
    this.#isShared = true;
    return made;
  }
}

/** A name in a folder, and what it names from now on. */
type Naming = { readonly folder: FolderNode; readonly name: string; readonly node: Node | undefined };

/** What is not stable yet. A change of names touches folders, one of bytes a file. */
type Change =
  | { readonly kind: "names"; readonly namings: readonly Naming[] }
  | { readonly kind: "write"; readonly file: FileNode; readonly data: Buffer; readonly position: number }
  | { readonly kind: "length"; readonly file: FileNode; readonly lengthBytes: number };

class Disk {
  readonly root: FolderNode = newFolder(0o755);
  /** Counts power cuts: a handle of an earlier life is of no use. */
  life = 0;
  readonly #skips: (kind: SyncKind) => boolean;
  #pending: Change[] = [];

  constructor(skips: (kind: SyncKind) => boolean) {
    this.#skips = skips;
  }

  change(change: Change): void {
    this.#pending.push(change);
    take(change, "live");
  }

  name(folder: FolderNode, name: string, node: Node | undefined): void {
    this.change({ kind: "names", namings: [{ folder, name, node }] });
  }

  sync(kind: SyncKind, node: Node | undefined): void {
    if (this.#skips(kind)) return;
    const later: Change[] = [];
    for (const change of this.#pending) {
      if (node === undefined || touches(change, node)) take(change, "stable");
      else later.push(change);
    }
    this.#pending = later;
  }

  cutPower(keeps: () => boolean): void {
    for (const change of this.#pending) if (keeps()) take(change, "stable");
    this.#pending = [];
    this.life += 1;
    forget(this.root, new Set());
  }

  /** What a path names; undefined when nothing is there. Links on the way are followed, the last one where `follow` says so. */
  find(at: string, follow: boolean): Node | undefined {
    let node: Node | undefined = this.root;
    const parts = at.split("/").filter((part) => part !== "");
    for (const [index, part] of parts.entries()) {
      if (node?.kind !== "folder") return undefined;
      node = node.live.get(part);
      if (node?.kind !== "link" || (index === parts.length - 1 && !follow)) continue;
      const rest = parts.slice(index + 1);
      return this.find(path.resolve("/", ...parts.slice(0, index), node.target, ...rest), follow);
    }
    return node;
  }

  file(at: string): FileNode {
    const node = this.#there(at, true);
    if (node.kind === "folder") throw errno("EISDIR");
    assert(node.kind === "file", "a link is followed to its end");
    return node;
  }

  folder(at: string): FolderNode {
    const node = this.#there(at, true);
    if (node.kind !== "folder") throw errno("ENOTDIR");
    return node;
  }

  #there(at: string, follow: boolean): Node {
    const node = this.find(at, follow);
    if (node === undefined) throw errno("ENOENT");
    return node;
  }

  /** The folder of a path and the last part of it. */
  place(at: string): { readonly folder: FolderNode; readonly name: string; readonly node: Node | undefined } {
    const folder = this.folder(path.dirname(at));
    const name = path.basename(at);
    return { folder, name, node: folder.live.get(name) };
  }
}

function take(change: Change, state: "live" | "stable"): void {
  if (change.kind === "names") {
    for (const { folder, name, node } of change.namings) {
      if (state === "live") {
        countName(folder.live.get(name), -1);
        countName(node, 1);
      }
      if (node === undefined) folder[state].delete(name);
      else folder[state].set(name, node);
    }
    return;
  }
  const content = change.file[state];
  if (change.kind === "length") content.resize(change.lengthBytes);
  else content.write(change.data, change.position);
}

function countName(node: Node | undefined, by: number): void {
  if (node?.kind === "file") node.names += by;
}

function touches(change: Change, node: Node): boolean {
  if (change.kind === "names") return change.namings.some(({ folder }) => folder === node);
  return change.file === node;
}

/** Goes back to what is stable, in all that can still be reached. */
function forget(node: Node, seen: Set<Node>): void {
  // It is come to once by each name.
  if (node.kind === "file") node.names = seen.has(node) ? node.names + 1 : 1;
  if (seen.has(node) || node.kind === "link") return;
  seen.add(node);
  if (node.kind === "file") node.live = node.stable.copy();
  else {
    node.live = new Map(node.stable);
    for (const each of node.live.values()) forget(each, seen);
  }
}

function newFolder(mode: number): FolderNode {
  return { kind: "folder", live: new Map(), stable: new Map(), mode, uid: 0, gid: 0 };
}

function portOf(disk: Disk): Files {
  return {
    open: (file, mode, permissions = 0o600) => named("open", file, () => open(disk, file, mode, permissions)),
    openBlocking: (file) => failing("open", file, () => openBlocking(disk, file)),
    makeFile: (file, { sizeBytes, permissions, owner }) =>
      named("make", file, () => {
        open(disk, file, "create", permissions);
        const made = disk.file(file);
        if (sizeBytes > 0) disk.change({ kind: "length", file: made, lengthBytes: sizeBytes });
        if (owner !== undefined) Object.assign(made, owner);
      }),
    writeParts: (file, parts) =>
      named("write", file, () => {
        const written = disk.file(file);
        for (const { data, position } of parts) {
          disk.change({ kind: "write", file: written, data: copyOf(data), position });
        }
      }),
    readFile: (file) => named("read", file, () => copyOf(disk.file(file).live.bytes)),
    stat: (file) => named("look at", file, () => factsOf(disk.find(file, false))),
    list: (folder) =>
      named("list", folder, () =>
        [...disk.folder(folder).live]
          .map(([name, { kind }]) => ({ name, kind }))
          .sort((a, b) => (a.name < b.name ? -1 : 1)),
      ),
    makeFolder: (folder, permissions = 0o700) => named("make folder", folder, () => make(disk, folder, permissions)),
    rename: (from, to) => named("rename", from, () => rename(disk, from, to)),
    link: (from, to) =>
      named("link", to, () => {
        const node = disk.file(from);
        give(disk, to, node);
      }),
    symlink: (target, at) =>
      named("link", at, () => give(disk, at, { kind: "link", target, mode: 0o777, uid: 0, gid: 0 })),
    readLink: (file) =>
      named("read link", file, () => {
        const node = disk.find(file, false);
        if (node?.kind !== "link") throw errno(node === undefined ? "ENOENT" : "EINVAL");
        return node.target;
      }),
    remove: (file) => named("remove", file, () => remove(disk, file)),
    removeTree: (folder) => named("remove", folder, () => removeTree(disk, folder)),
    syncFolder: (folder) => named("sync", folder, () => disk.sync("syncFolder", disk.folder(folder))),
    syncFileSystem: (folder) => named("sync the file system of", folder, () => disk.sync("syncFileSystem", undefined)),
    changeOwner: (file, owner) => named("change owner of", file, () => void Object.assign(there(disk, file), owner)),
    changeMode: (file, mode) => named("change mode of", file, () => void Object.assign(there(disk, file), { mode })),
    space: async () => ({ freeBytes: SPACE_BYTES, totalBytes: SPACE_BYTES, device: 1 }),
  };
}

/** More than any test fills. */
const SPACE_BYTES = 1024 ** 4;

/** The work is done before this returns, as a call of the kernel is; its failure is that of the port. */
async function named<T>(operation: string, file: string, work: () => T): Promise<T> {
  return failing(operation, file, work);
}

function failing<T>(operation: string, file: string, work: () => T): T {
  assert(path.isAbsolute(file), "a path is absolute");
  try {
    return work();
  } catch (cause) {
    if (cause instanceof LifeboatError) throw cause;
    throw fileError(operation, file, cause);
  }
}

function open(disk: Disk, file: string, mode: OpenMode, permissions: number): FileHandle {
  if (mode !== "create") return handleOf(disk, file, disk.file(file));
  const content = { live: new Content(), stable: new Content() };
  const node: FileNode = { kind: "file", ...content, names: 0, mode: permissions, uid: 0, gid: 0 };
  give(disk, file, node);
  return handleOf(disk, file, node);
}

function openBlocking(disk: Disk, file: string): BlockingFile | undefined {
  const node = disk.find(file, false);
  const facts = factsOf(node);
  if (node?.kind !== "file" || facts === undefined) return undefined;
  return {
    facts,
    read: (position, into) => {
      const found = node.live.bytes.subarray(position, position + into.byteLength);
      into.set(found);
      return found.byteLength;
    },
    close: () => undefined,
  };
}

function handleOf(disk: Disk, file: string, node: FileNode): FileHandle {
  const { life } = disk;
  const now = <T>(operation: string, work: () => T): T =>
    failing(operation, file, () => {
      if (disk.life !== life) throw errno("EBADF");
      return work();
    });
  const call = async <T>(operation: string, work: () => T): Promise<T> => now(operation, work);
  const write = (data: Uint8Array, position: number): void =>
    disk.change({ kind: "write", file: node, data: copyOf(data), position });
  let descriptor: number | undefined;
  return {
    get descriptor() {
      descriptor ??= shareFile((data, position) => {
        if (disk.life !== life) throw errno("EBADF");
        write(data, position);
      });
      return descriptor;
    },
    read: ({ position, length, into }) =>
      call("read", () => {
        const found = node.live.bytes.subarray(position, position + length);
        if (into === undefined) return copyOf(found);
        found.copy(into);
        return into.subarray(0, found.byteLength);
      }),
    write: (data, position) => call("write", () => write(data, position)),
    writeNow: (data, position) => now("write", () => write(data, position)),
    writeParts: (parts) =>
      call("write", () => {
        for (const { data, position } of parts) write(data, position);
      }),
    truncate: (lengthBytes) => call("truncate", () => disk.change({ kind: "length", file: node, lengthBytes })),
    sync: () => call("sync", () => disk.sync("sync", node)),
    // Promised nothing, a power cut takes everything.
    writeBack: async () => undefined,
    syncNow: () => now("sync", () => disk.sync("sync", node)),
    stat: () => call("look at", () => factsOf(node) ?? missing()),
    close: async () => unshareFile(descriptor),
  };
}

function factsOf(node: Node | undefined): FileFacts | undefined {
  if (node === undefined) return undefined;
  const { kind, mode, uid, gid } = node;
  const [sizeBytes, nameCount] = node.kind === "file" ? [node.live.bytes.byteLength, node.names] : [0, 1];
  return { kind, sizeBytes, modifiedMs: 0, mode, uid, gid, nameCount };
}

function there(disk: Disk, file: string): Node {
  return disk.find(file, false) ?? missing();
}

function missing(): never {
  throw errno("ENOENT");
}

function give(disk: Disk, at: string, node: Node): void {
  const { folder, name, node: taken } = disk.place(at);
  if (taken !== undefined) throw errno("EEXIST");
  disk.name(folder, name, node);
}

function make(disk: Disk, at: string, mode: number): void {
  const found = disk.find(at, true);
  if (found?.kind === "folder") return;
  if (found !== undefined) throw errno("EEXIST");
  make(disk, path.dirname(at), mode);
  const { folder, name } = disk.place(at);
  disk.name(folder, name, newFolder(mode));
}

function rename(disk: Disk, from: string, to: string): void {
  const source = disk.place(from);
  const { node } = source;
  if (node === undefined) throw errno("ENOENT");
  const goal = disk.place(to);
  if (goal.node?.kind === "folder" && (node.kind !== "folder" || goal.node.live.size > 0)) throw errno("ENOTEMPTY");
  // Of two names of one file both stay: that is what the system call says.
  if (goal.node === node) return;
  const namings = [
    { folder: goal.folder, name: goal.name, node },
    { folder: source.folder, name: source.name, node: undefined },
  ];
  disk.change({ kind: "names", namings });
}

function remove(disk: Disk, at: string): void {
  const node = disk.find(at, false);
  if (node === undefined) return;
  if (node.kind === "folder") throw errno("EISDIR");
  const { folder, name } = disk.place(at);
  disk.name(folder, name, undefined);
}

function removeTree(disk: Disk, at: string): void {
  const node = disk.find(at, false);
  if (node === undefined) return;
  if (node.kind === "folder") for (const name of [...node.live.keys()]) removeTree(disk, path.join(at, name));
  const { folder, name } = disk.place(at);
  disk.name(folder, name, undefined);
}

function errno(code: string): Error {
  return Object.assign(new Error(code), { code });
}
