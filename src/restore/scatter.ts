/**
 * Puts the chunks of a batch where the placements say: into large files by the thread that opened them, else here.
 *
 * A page that lies alone costs one call into the kernel, and a chain of backups has a hundred thousand of them: by the thread
 * that opened it, it is written while it lies in that core's own cache, and the main thread has time for the rest.
 * Invariants: a file is lent out from before its bytes are opened until they are counted as written; what follows one another
 * both in the file and in a chunk is one write.
 */
import { assert, type LifeboatError } from "../errors/error.ts";
import { fileErrorOf } from "../platform/files.ts";
import type { FetchedBatch, Scatter, ScatteredChunk } from "../vault/batches.ts";
import { WRITE_NUMBERS } from "../vault/threads/opener.ts";
import type { FileSet } from "./file-set.ts";
import type { PlacementTable } from "./placements.ts";

/** A piece that is written here: of which chunk of the batch, and where from and to. */
type PieceHere = { readonly index: number; readonly from: number; length: number; readonly to: number };

/** What of a batch becomes of one file. */
type FileShare = {
  /** Undefined when it is written here. */
  readonly descriptor: number | undefined;
  readonly here: PieceHere[];
  placementCount: number;
  bytes: number;
};

/** One scatter serves one image. */
export class PlacementScatter implements Scatter {
  readonly #placements: PlacementTable;
  readonly #set: FileSet;
  readonly #memory: { readonly file: number; readonly bytes: Buffer };
  /** By the list of its chunks. */
  readonly #underWay = new Map<readonly number[], ReadonlyMap<number, FileShare>>();
  readonly #paths = new Map<number, string>();

  /** Bytes of the one file of `memory` go there instead. */
  constructor(placements: PlacementTable, set: FileSet, memory: { readonly file: number; readonly bytes: Buffer }) {
    this.#placements = placements;
    this.#set = set;
    this.#memory = memory;
  }

  /** Lends out what the batch is written to. */
  readonly plan = async (numbers: readonly number[]): Promise<readonly ScatteredChunk[]> => {
    const byFile = new Map<number, FileShare>();
    const chunks: ScatteredChunk[] = [];
    this.#underWay.set(numbers, byFile);
    for (const [index, number] of numbers.entries()) {
      const writes: number[] = [];
      let wanted = false;
      for (const { file, from, length, to } of this.#placements.of(number)) {
        const share = byFile.get(file) ?? (await this.#begin(byFile, file));
        share.placementCount += 1;
        share.bytes += length;
        if (share.descriptor !== undefined) addWrite(writes, share.descriptor, { from, length, to });
        else addHere(share.here, { index, from, length, to });
        wanted ||= share.descriptor === undefined;
      }
      chunks.push({ writes, wanted });
    }
    return chunks;
  };

  /** The error of a file that was lent out. */
  readonly unwritten = (descriptor: number, errno: string): LifeboatError =>
    fileErrorOf("write", this.#paths.get(descriptor) ?? `what is open as ${descriptor}`, errno);

  /** Writes the rest of a batch, takes back what was lent out, and returns how many bytes that was. */
  async finish({ numbers, starts, plain }: FetchedBatch): Promise<number> {
    const byFile = this.#underWay.get(numbers);
    assert(byFile !== undefined, "a batch was planned before it is finished");
    this.#underWay.delete(numbers);
    let done = 0;
    for (const [file, { descriptor, here, placementCount, bytes }] of byFile) {
      done += bytes;
      if (descriptor !== undefined) {
        await this.#set.takeBack(file, { bytes, writes: placementCount });
        continue;
      }
      const parts = here.map(({ index, from, length, to }) => {
        const at = (starts[index] ?? 0) + from;
        assert(at + length <= (starts[index + 1] ?? plain.byteLength), "a placement lies inside its chunk");
        return { data: plain.subarray(at, at + length), position: to };
      });
      if (file !== this.#memory.file) await this.#set.write(file, parts, placementCount);
      else for (const { data, position } of parts) this.#memory.bytes.set(data, position);
    }
    return done;
  }

  async #begin(byFile: Map<number, FileShare>, file: number): Promise<FileShare> {
    const descriptor = file === this.#memory.file ? undefined : await this.#set.lend(file);
    if (descriptor !== undefined) this.#paths.set(descriptor, this.#set.pathOf(file));
    const share = { descriptor, here: [], placementCount: 0, bytes: 0 };
    byFile.set(file, share);
    return share;
  }
}

type Piece = { readonly from: number; readonly length: number; readonly to: number };

/** Adds a write; what follows the last one both in the file and in the chunk makes that one longer. */
function addWrite(writes: number[], descriptor: number, { from, length, to }: Piece): void {
  const last = writes.length - WRITE_NUMBERS;
  const lastLength = writes[last + 2] ?? 0;
  const follows =
    writes[last] === descriptor &&
    (writes[last + 1] ?? 0) + lastLength === from &&
    (writes[last + 3] ?? 0) + lastLength === to;
  if (follows) writes[last + 2] = lastLength + length;
  else writes.push(descriptor, from, length, to);
}

function addHere(pieces: PieceHere[], piece: PieceHere): void {
  const last = pieces.at(-1);
  const follows =
    last !== undefined &&
    last.index === piece.index &&
    last.from + last.length === piece.from &&
    last.to + last.length === piece.to;
  if (follows) last.length += piece.length;
  else pieces.push(piece);
}
