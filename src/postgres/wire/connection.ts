/**
 * One session with a server: a socket, the messages read from it, and the command under way.
 *
 * Nouns: a *frame* is a message, or a piece of one (frame-reader.ts); the session is *ready* when the server waits for the
 * next command; a *step* says what is under way, for errors.
 * Invariants: frames are handed out in order and before the news that the connection is gone; what lies unread in memory
 * is bounded (the socket is paused beyond it); an abort destroys the socket at once; a command that fails without the
 * server being ready again destroys it too, so that no answer is ever taken for that of another command.
 */
import type { Socket } from "node:net";
import { assert } from "../../errors/error.ts";
import { abortedError, systemClock, throwIfAborted } from "../../platform/clock.ts";
import { sendAtOnce } from "../../platform/send-at-once.ts";
import { startTimer } from "../../platform/timer.ts";
import type { CallOptions } from "../replication.ts";
import { type CodesOfCommand, connectionLost, type Peer, serverError } from "../server-error.ts";
import { readCString, readReport, readRow, type ServerReport, type TextRow } from "./answers.ts";
import { type Frame, FrameReader } from "./frame-reader.ts";
import { query, terminate } from "./outgoing.ts";
import { protocolError } from "./protocol-error.ts";
import type { ReadBuffers } from "./read-buffers.ts";

/**
 * Unread bytes beyond which the socket is paused. One WAL segment: a receiver that is busy syncing finds its next group
 * here, and while it catches up it syncs once a segment. More than a whole message, or a large one could never complete.
 */
export const QUEUE_BYTES_MAX = 16 * 1024 * 1024;

/** Unread chunks beyond which the socket is paused: full or not, each holds a buffer. */
const QUEUE_CHUNKS_MAX = 256;
/** The same of a base backup, whose bytes are only looked at as they pass: nothing is gained by more, and each has 128 KiB. */
const PAYLOAD_CHUNKS_MAX = 64;

/** A server that does not close its side within this time after our goodbye is left. */
const CLOSE_TIMEOUT_MS = 2000;

/** A message of the server. */
export type Message = Extract<Frame, { kind: "message" }>;

/** What a command is called in errors, who may cancel it, and what its SQLSTATEs mean. */
export type CommandOptions = CallOptions & { readonly step: string; readonly codes?: CodesOfCommand | undefined };

/** A session's socket and messages. See the header for what holds. */
export class WireConnection {
  readonly peer: Peer;
  /** Parameters that the server reported, `server_version` among them. */
  readonly parameters = new Map<string, string>();
  /** Called for each notice of the command under way. */
  onNotice: ((report: ServerReport) => void) | undefined;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  #ready = false;
  #paused = false;
  #command: CommandOptions | undefined;
  #ended: { readonly cause: unknown } | undefined;
  #aborted: { readonly reason: unknown } | undefined;
  #wake: ((arrived: boolean) => void) | undefined;
  /** Of the wait that `wake` ends. */
  #deadlineMs = Number.POSITIVE_INFINITY;
  #timer: { readonly atMs: number; readonly cancel: () => void } | undefined;
  readonly #onAbort = (): void => {
    this.#aborted = { reason: this.#command?.signal?.reason };
    this.destroy();
  };

  /** `reads` is what the socket is read into; without it Node makes a buffer for each read. */
  constructor(socket: Socket, peer: Peer, reads: ReadBuffers | undefined) {
    this.#socket = socket;
    this.peer = peer;
    this.#reader = new FrameReader(reads === undefined ? undefined : (chunk) => reads.release(chunk));
    if (reads === undefined) socket.on("data", (chunk: Buffer) => this.#arrived(chunk));
    else reads.listen((chunk) => this.#arrived(chunk));
    socket.on("error", (cause) => this.#end(cause));
    socket.on("end", () => this.#end(undefined));
    socket.on("close", () => this.#end(undefined));
  }

  /** True when the server waits for a command. */
  get ready(): boolean {
    return this.#ready;
  }

  /** See FrameReader. */
  set splitPayload(value: boolean) {
    this.#reader.splitPayload = value;
  }

  /** Runs one command: names its step, watches its signal, and drops the connection when it is left half done. */
  async command<T>(options: CommandOptions, work: () => Promise<T>): Promise<T> {
    this.begin(options);
    try {
      return await work();
    } catch (error) {
      throw this.failed(error);
    } finally {
      this.end();
    }
  }

  /**
   * Begins a command that goes on over many calls, each of which would else pay for watching the signal: as `command`, but the
   * caller hands what it fails with to `failed`, and ends it with `end`. The end of the session ends it too.
   */
  begin(options: CommandOptions): void {
    assert(this.#command === undefined, "one command at a time on a connection");
    throwIfAborted(options.signal, options.step);
    this.#command = options;
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** What the command under way fails with; drops the connection when that leaves it half done. */
  failed(error: unknown): unknown {
    if (!this.#ready) this.destroy();
    return this.#aborted === undefined ? error : abortedError(this.#step, this.#aborted.reason);
  }

  /** Ends the command under way; repeatable. */
  end(): void {
    this.#unwatch();
    this.#command = undefined;
    this.onNotice = undefined;
  }

  #unwatch(): void {
    this.#command?.signal?.removeEventListener("abort", this.#onAbort);
    this.#cancelTimer();
  }

  /**
   * Sends a simple query or a replication command; its answer is read by the caller. Several are sent as one piece, and answered
   * one by one: each answer ends with the server being ready.
   */
  query(...texts: readonly string[]): void {
    if (this.#ended !== undefined) throw this.#lost();
    assert(this.#ready, "a command is sent only to a server that waits for one");
    this.#ready = false;
    this.#socket.write(Buffer.concat(texts.map(query)));
  }

  /** Sends a message and returns; a failure shows at the next read. */
  send(message: Buffer): void {
    this.#socket.write(message);
  }

  /**
   * Sends a message, at once where the operating system takes it; waits only while too many lie before it. A failure shows at
   * the next read, behind what had arrived before: a server that is through says why, and closes its side.
   */
  async write(message: Buffer): Promise<void> {
    if (this.#ended !== undefined) return;
    const socket = this.#socket;
    if (socket.write(message)) return;
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        socket.off("drain", settle).off("close", settle);
        resolve();
      };
      socket.on("drain", settle).on("close", settle);
    });
  }

  /** As `write`, done when it returns: false when it would have to wait, and nothing was sent. */
  writeNow(message: Buffer): boolean {
    if (this.#ended !== undefined || this.#socket.writableNeedDrain) return false;
    const sentBytes = this.peer.encrypted ? 0 : sendAtOnce(this.#socket, message);
    if (sentBytes < message.byteLength) this.#socket.write(message.subarray(sentBytes));
    return true;
  }

  /** The next frame that has arrived whole, or undefined; a payload's view holds until the next call. Notices and parameters are taken care of here. */
  next(): Frame | undefined {
    for (;;) {
      const frame = this.#reader.next();
      if (this.#paused && (frame === undefined || this.#isHalfEmpty())) {
        this.#paused = false;
        this.#socket.resume();
      }
      if (frame === undefined || frame.kind === "payload" || !this.#takeAside(frame)) return frame;
    }
  }

  /**
   * Waits until more bytes have arrived: true, or false when `deadlineMs` (a reading of the monotonic clock) passes first.
   * Call it only when `next` has nothing left. Rejects with `postgres.connection-lost` when there will be no more.
   */
  wait(deadlineMs = Number.POSITIVE_INFINITY): Promise<boolean> {
    if (this.#ended !== undefined) return Promise.reject(this.#lost());
    return new Promise<boolean>((resolve) => {
      this.#wake = resolve;
      this.#deadlineMs = deadlineMs;
      this.#watchDeadline();
    });
  }

  /** The next message. An error that the server reports is raised here, after it is ready again. */
  async read(): Promise<Message> {
    for (;;) {
      const frame = this.next();
      if (frame === undefined) {
        await this.wait();
        continue;
      }
      assert(frame.kind === "message", "pieces of a base backup are read by its own loop");
      if (frame.type === TYPE.error) return await this.raise(frame.body);
      return frame;
    }
  }

  /** The next message, which must be of this type. */
  async expect(type: number, what: string): Promise<Message> {
    const message = await this.read();
    if (message.type !== type) throw unexpected(message, what);
    return message;
  }

  /** A result set: RowDescription, rows, CommandComplete. `first` is its RowDescription where that was read already. */
  async resultSet(what: string, first?: Message): Promise<readonly TextRow[]> {
    const head = first ?? (await this.read());
    if (head.type !== TYPE.rowDescription) throw unexpected(head, what);
    const rows: TextRow[] = [];
    for (;;) {
      const message = await this.read();
      if (message.type === TYPE.commandComplete) return rows;
      if (message.type !== TYPE.dataRow) throw unexpected(message, what);
      rows.push(readRow(message.body));
    }
  }

  /** Raises an ErrorResponse. Unless it ended the session, waits first until the server is ready again. */
  async raise(body: Buffer, details?: Readonly<Record<string, string | number | boolean>>): Promise<never> {
    const report = readReport(body);
    const error = serverError(report, {
      peer: this.peer,
      step: this.#step,
      codes: this.#command?.codes,
      ...(details === undefined ? {} : { details }),
    });
    if (report.severity === "FATAL" || report.severity === "PANIC") throw error;
    try {
      while (!this.#ready) if (this.next() === undefined) await this.wait();
    } catch {
      // The connection broke behind the report: what the server said is the better news, and `command` drops the connection.
    }
    throw error;
  }

  /** Ends the session: a goodbye where it can still be sent, then the socket. Repeatable. */
  async close(): Promise<void> {
    if (this.#socket.closed) return this.#unwatch();
    const closed = new Promise<void>((resolve) => this.#socket.once("close", () => resolve()));
    const cancel = startTimer(CLOSE_TIMEOUT_MS, () => this.#socket.destroy());
    if (this.#socket.writable) this.#socket.write(terminate());
    // In mid-command the server may be stuck in a send to us: no waiting for its own goodbye.
    if (this.#ready) this.#socket.end();
    else this.#socket.destroySoon();
    this.#socket.resume();
    await closed;
    cancel();
    this.#unwatch();
  }

  /** Drops the socket at once. */
  destroy(): void {
    this.#socket.destroy();
    this.#end(undefined);
  }

  get #step(): string {
    return this.#command?.step ?? "idle";
  }

  #arrived(chunk: Buffer): void {
    this.#reader.append(chunk);
    const full = this.#reader.queuedBytes > QUEUE_BYTES_MAX || this.#reader.queuedChunks > this.#chunksMax;
    if (full && !this.#paused) {
      this.#paused = true;
      this.#socket.pause();
    }
    this.#wakeUp(true);
  }

  #wakeUp(arrived: boolean): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.(arrived);
  }

  /**
   * Sees to it that the wait ends at its deadline. A wait that ended earlier leaves its timer, which then looks at the deadline of
   * its day: a timer set and cancelled for each of a thousand waits a second costs more than reading what came.
   */
  #watchDeadline(): void {
    const atMs = this.#deadlineMs;
    if (atMs === Number.POSITIVE_INFINITY || (this.#timer !== undefined && this.#timer.atMs <= atMs)) return;
    this.#cancelTimer();
    const cancel = startTimer(Math.max(0, atMs - systemClock.monotonic()), () => {
      this.#timer = undefined;
      if (this.#wake === undefined) return;
      if (systemClock.monotonic() >= this.#deadlineMs) this.#wakeUp(false);
      else this.#watchDeadline();
    });
    this.#timer = { atMs, cancel };
  }

  #cancelTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #isHalfEmpty(): boolean {
    return this.#reader.queuedBytes < QUEUE_BYTES_MAX / 2 && this.#reader.queuedChunks < this.#chunksMax / 2;
  }

  get #chunksMax(): number {
    return this.#reader.splitPayload ? PAYLOAD_CHUNKS_MAX : QUEUE_CHUNKS_MAX;
  }

  #end(cause: unknown): void {
    this.#ended ??= { cause };
    this.#wakeUp(true);
  }

  #lost(): Error {
    return connectionLost({ peer: this.peer, step: this.#step }, this.#ended?.cause);
  }

  /** True when the message is none of the command's answer. */
  #takeAside(message: Message): boolean {
    switch (message.type) {
      case TYPE.notice:
        this.onNotice?.(readReport(message.body));
        return true;
      case TYPE.parameterStatus: {
        const name = readCString(message.body, 0);
        this.parameters.set(name.text, readCString(message.body, name.next).text);
        return true;
      }
      case TYPE.notification:
        return true;
      case TYPE.ready:
        this.#ready = true;
        return false;
      default:
        return false;
    }
  }
}

/** The types of the server's messages. */
export const TYPE = {
  authentication: 0x52, // R
  backendKey: 0x4b, // K
  commandComplete: 0x43, // C
  copyBoth: 0x57, // W
  copyData: 0x64, // d
  copyDone: 0x63, // c
  copyOut: 0x48, // H
  dataRow: 0x44, // D
  error: 0x45, // E
  notice: 0x4e, // N
  notification: 0x41, // A
  parameterStatus: 0x53, // S
  ready: 0x5a, // Z
  rowDescription: 0x54, // T
} as const;

/** The error of a message in the wrong place. */
export function unexpected(message: Message, what: string): Error {
  return protocolError(`the server sent a message of type "${String.fromCharCode(message.type)}", expected ${what}`);
}
