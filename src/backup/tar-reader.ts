/**
 * Reads the tar archives of a base backup as they arrive, in pieces of any size.
 *
 * Source: POSIX ustar; PostgreSQL writes plain ustar headers with GNU base-256 sizes where octal is too short.
 */
import { LifeboatError } from "../errors/error.ts";

/** One member of an archive. The path is relative and has no empty, `.` or `..` parts. */
export type TarEntry = {
  readonly path: string;
  readonly kind: "file" | "folder" | "link";
  readonly sizeBytes: number;
  /** Permission bits. */
  readonly mode: number;
  /** Seconds since 1970. */
  readonly modifiedS: number;
  /** Where a symbolic link points; empty for others. */
  readonly target: string;
};

/** Takes the bytes of one file. */
export interface EntrySink {
  /** The next bytes; the view holds until this returns. */
  write(view: Buffer): void;
  /** All `sizeBytes` were written. */
  end(): void;
}

/** Says what to do with a member: a sink for its bytes, or nothing; in time. */
export type OpenEntry = (entry: TarEntry) => EntrySink | undefined | Promise<EntrySink | undefined>;

const BLOCK_BYTES = 512;
const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);

type Mode = "header" | "data" | "padding" | "ended";

/** One reader per archive. Throws `backup.stream-malformed` on anything that is not a tar archive of a base backup. */
export class TarReader {
  readonly #archive: string;
  readonly #open: OpenEntry;
  readonly #header = Buffer.alloc(BLOCK_BYTES);
  #mode: Mode = "header";
  #headerFilled = 0;
  #remaining = 0;
  #padding = 0;
  #sink: EntrySink | undefined;

  /** `open` is called for each member; a member without a sink is passed over. */
  constructor(archive: string, open: OpenEntry) {
    this.#archive = archive;
    this.#open = open;
  }

  /** Takes the next bytes of the archive. A promise comes back when `open` needs time: nothing may be written before it. */
  write(view: Buffer): void | Promise<void> {
    return this.#take(view, 0);
  }

  #take(view: Buffer, from: number): void | Promise<void> {
    let at = from;
    while (at < view.byteLength) {
      const rest = view.byteLength - at;
      if (this.#mode === "header") {
        at += this.#takeHeader(view, at);
        const next = at;
        if (this.#headerFilled === BLOCK_BYTES) {
          const waiting = this.#beginEntry();
          if (waiting !== undefined) return waiting.then(() => this.#take(view, next));
        }
      } else if (this.#mode === "data") at += this.#takeData(view, at);
      else if (this.#mode === "padding") {
        const skipped = Math.min(rest, this.#padding);
        this.#padding -= skipped;
        at += skipped;
        if (this.#padding === 0) this.#mode = "header";
      } else {
        this.#expectZeros(view.subarray(at));
        at = view.byteLength;
      }
    }
  }

  /** The archive is over. Throws when it ended inside a member. */
  end(): void {
    if (this.#mode === "ended" || (this.#mode === "header" && this.#headerFilled === 0)) return;
    throw this.#malformed(`it ends inside a member (${this.#remaining} bytes missing)`);
  }

  #takeHeader(view: Buffer, at: number): number {
    const length = Math.min(BLOCK_BYTES - this.#headerFilled, view.byteLength - at);
    view.copy(this.#header, this.#headerFilled, at, at + length);
    this.#headerFilled += length;
    return length;
  }

  #beginEntry(): Promise<void> | undefined {
    this.#headerFilled = 0;
    if (this.#header.equals(ZERO_BLOCK)) {
      this.#mode = "ended";
      return undefined;
    }
    const entry = this.#parseHeader();
    const sink = this.#open(entry);
    if (sink instanceof Promise) return sink.then((opened) => this.#enter(entry, opened));
    this.#enter(entry, sink);
    return undefined;
  }

  #enter(entry: TarEntry, sink: EntrySink | undefined): void {
    this.#sink = sink;
    this.#remaining = entry.kind === "file" ? entry.sizeBytes : 0;
    this.#padding = (BLOCK_BYTES - (this.#remaining % BLOCK_BYTES)) % BLOCK_BYTES;
    this.#mode = "data";
    if (this.#remaining === 0) this.#endEntry();
  }

  #takeData(view: Buffer, at: number): number {
    const length = Math.min(this.#remaining, view.byteLength - at);
    this.#sink?.write(at === 0 && length === view.byteLength ? view : view.subarray(at, at + length));
    this.#remaining -= length;
    if (this.#remaining === 0) this.#endEntry();
    return length;
  }

  #endEntry(): void {
    this.#sink?.end();
    this.#sink = undefined;
    this.#mode = this.#padding === 0 ? "header" : "padding";
  }

  #parseHeader(): TarEntry {
    const header = this.#header;
    let sum = 0;
    for (let at = 0; at < BLOCK_BYTES; at += 1) sum += at >= 148 && at < 156 ? 32 : (header[at] ?? 0);
    if (sum !== parseOctal(header, 148, 8)) throw this.#malformed("a member's header has a wrong checksum");
    const kind = TYPE_FLAGS.get(header[156] ?? 0);
    if (kind === undefined) throw this.#malformed(`a member is of type ${header[156]}`);
    const prefix = parseText(header, 345, 155);
    const name = parseText(header, 0, 100);
    return {
      path: this.#checkPath(prefix === "" ? name : `${prefix}/${name}`),
      kind,
      sizeBytes: parseSize(header),
      mode: parseOctal(header, 100, 8) & 0o7777,
      modifiedS: parseOctal(header, 136, 12),
      target: parseText(header, 157, 100),
    };
  }

  #checkPath(raw: string): string {
    const path = raw.replace(/^(?:\.\/)+/, "").replace(/\/+$/, "");
    const bad = path.split("/").some((part) => part === "" || part === "." || part === "..");
    if (bad || path.includes("\0")) throw this.#malformed(`a member has the path "${raw}"`);
    return path;
  }

  #expectZeros(view: Buffer): void {
    for (let at = 0; at < view.byteLength; at += BLOCK_BYTES) {
      const part = view.subarray(at, at + BLOCK_BYTES);
      if (!part.equals(ZERO_BLOCK.subarray(0, part.byteLength))) throw this.#malformed("bytes follow its end");
    }
  }

  #malformed(why: string): LifeboatError {
    return new LifeboatError("backup.stream-malformed", {
      message: `archive ${this.#archive} of the base backup cannot be read: ${why}`,
      remedy: "Take the backup again; if this comes back, report it with the server's version.",
    });
  }
}

const TYPE_FLAGS: ReadonlyMap<number, TarEntry["kind"]> = new Map([
  [0, "file"],
  ["0".charCodeAt(0), "file"],
  ["2".charCodeAt(0), "link"],
  ["5".charCodeAt(0), "folder"],
]);

function parseText(header: Buffer, from: number, length: number): string {
  const end = header.indexOf(0, from);
  return header.toString("utf8", from, end < 0 || end > from + length ? from + length : end);
}

function parseOctal(header: Buffer, from: number, length: number): number {
  const text = parseText(header, from, length).trim();
  return text === "" ? 0 : Number.parseInt(text, 8);
}

function parseSize(header: Buffer): number {
  const first = header[124] ?? 0;
  if ((first & 0x80) === 0) return parseOctal(header, 124, 12);
  return Number(header.readBigUInt64BE(128));
}
