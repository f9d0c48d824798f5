/**
 * A running WAL stream: COPY in both directions between a walsender and us.
 *
 * Nouns: a *group* is all messages that lay ready at one call of `next`.
 * Invariants: the bytes of a stream are contiguous from the position asked for (a gap is `postgres.protocol`); what
 * arrived before the connection broke or the server complained is handed out first; only the caller's `flushed` is ever
 * reported, never a position of our own.
 * Source: PostgreSQL manual, "Streaming Replication Protocol", START_REPLICATION.
 */
import { assert, LifeboatError } from "../errors/error.ts";
import { systemClock, throwIfAborted } from "../platform/clock.ts";
import { formatLsn, type Lsn, lsnAdd } from "./lsn.ts";
import type { CallOptions, StandbyStatus, WalMessage, WalStream } from "./replication.ts";
import type { CodesOfCommand } from "./server-error.ts";
import { lsnAt, timelineAt } from "./wire/answers.ts";
import { type CommandOptions, type Message, TYPE, unexpected, type WireConnection } from "./wire/connection.ts";
import { copyDataHead, copyDone } from "./wire/outgoing.ts";
import { protocolError } from "./wire/protocol-error.ts";

/** What SQLSTATEs mean while WAL is streamed. */
export const WAL_CODES: CodesOfCommand = {
  "58P01": "postgres.wal-removed",
  "55006": "postgres.slot-in-use",
  "42704": "postgres.slot-missing",
  // 18 says so of a slot that was invalidated; 15 to 17 let it stream what is left, and say 58P01 of what is not.
  "55000": "postgres.slot-unusable",
};

const WAL_DATA = 0x77; // w
const KEEPALIVE = 0x6b; // k
const STATUS = 0x72; // r
const WAL_HEADER_BYTES = 25;
const KEEPALIVE_BYTES = 18;
const STATUS_BYTES = 34;
const STATUS_HEAD = copyDataHead(STATUS_BYTES);
/** 2000-01-01 in milliseconds since 1970: PostgreSQL counts from there. */
const POSTGRES_EPOCH_MS = 946_684_800_000;

/** Where a timeline went on. */
export type NextTimeline = Extract<WalMessage, { kind: "timeline-end" }>["next"];

/**
 * `streaming`: COPY runs. `ending`: the server ended COPY, the last group is handed out, its reason is still to be read.
 * `ended`: the timeline's end is known and to be told. `over`: nothing comes any more, the connection is free.
 */
type Mode =
  | { readonly kind: "streaming" }
  | { readonly kind: "ending" }
  | { readonly kind: "ended"; readonly next: NextTimeline }
  | { readonly kind: "over" };

/** The stream of one START_REPLICATION. */
export class PhysicalWalStream implements WalStream {
  readonly #wire: WireConnection;
  #expected: Lsn;
  #mode: Mode;
  /** The command that the signal of `next` is watched for. */
  #watched: CommandOptions | undefined;
  /** An error that waits until the group before it was handed out. */
  #deferred: Message | undefined;

  constructor(wire: WireConnection, start: { readonly lsn: Lsn; readonly mode: Mode }) {
    this.#wire = wire;
    this.#expected = start.lsn;
    this.#mode = start.mode;
  }

  async next(options: CallOptions & { readonly timeoutMs: number }): Promise<readonly WalMessage[] | undefined> {
    assert(this.#mode.kind !== "over", "a WAL stream is read only until its end");
    if (this.#mode.kind === "ended") return this.#tellEnd(this.#mode.next);
    this.#watch(options);
    try {
      if (options.signal?.aborted === true) throwIfAborted(options.signal, this.#step);
      const deadlineMs = systemClock.monotonic() + options.timeoutMs;
      for (;;) {
        const group = this.#arrived();
        if (group.length > 0) return group;
        if (this.#deferred !== undefined) await this.#raise(this.#deferred);
        if (this.#mode.kind === "ending") return this.#tellEnd(await readTimelineEnd(this.#wire));
        if (!(await this.#wire.wait(deadlineMs))) return undefined;
      }
    } catch (error) {
      const failure = this.#wire.failed(error);
      this.#unwatch();
      throw failure;
    }
  }

  async sendStatus(status: StandbyStatus): Promise<void> {
    if (this.#mode.kind === "streaming") await this.#wire.write(this.statusMessage(status));
  }

  sendNow(message: Buffer): boolean {
    return this.#mode.kind === "streaming" && this.#wire.writeNow(message);
  }

  statusMessage(status: StandbyStatus): Buffer {
    const message = Buffer.allocUnsafe(STATUS_HEAD.byteLength + STATUS_BYTES);
    STATUS_HEAD.copy(message);
    const at = STATUS_HEAD.byteLength;
    // A view: the buffer's own methods make several numbers of each of 64 bits.
    const view = viewOf(message);
    view.setUint8(at, STATUS);
    view.setBigUint64(at + 1, status.written);
    view.setBigUint64(at + 9, status.flushed);
    view.setBigUint64(at + 17, status.applied);
    view.setBigInt64(at + 25, BigInt((systemClock.now() - POSTGRES_EPOCH_MS) * 1000));
    view.setUint8(at + 33, status.replyRequested === true ? 1 : 0);
    return message;
  }

  async stop(options: CallOptions): Promise<void> {
    this.#unwatch();
    if (this.#mode.kind === "over" || this.#mode.kind === "ended") {
      this.#mode = { kind: "over" };
      return;
    }
    await this.#wire.command(this.#command(options), async () => {
      if (this.#deferred !== undefined) await this.#raise(this.#deferred);
      this.#wire.send(copyDone());
      while (!this.#wire.ready) await this.#wire.read();
      this.#mode = { kind: "over" };
    });
  }

  get #step(): string {
    return `receiving WAL from ${this.#wire.peer.name} at ${formatLsn(this.#expected)}`;
  }

  /** Its step is told when somebody asks: the text is of no use to the many groups that come well. */
  #command({ signal }: CallOptions): CommandOptions {
    const stepNow = (): string => this.#step;
    return {
      codes: WAL_CODES,
      signal,
      get step() {
        return stepNow();
      },
    };
  }

  /** Receiving is one command from the first call on, for as long as the signal is the same. */
  #watch({ signal }: CallOptions): void {
    if (this.#watched !== undefined && this.#watched.signal === signal) return;
    this.#unwatch();
    const command = this.#command({ signal });
    this.#wire.begin(command);
    this.#watched = command;
  }

  #unwatch(): void {
    if (this.#watched !== undefined) this.#wire.end();
    this.#watched = undefined;
  }

  /** Takes what lies ready, up to the end of COPY or an error. */
  #arrived(): WalMessage[] {
    const group: WalMessage[] = [];
    while (this.#mode.kind === "streaming" && this.#deferred === undefined) {
      const frame = this.#wire.next();
      if (frame === undefined) break;
      assert(frame.kind === "message", "a WAL stream has no payload pieces");
      if (frame.type === TYPE.copyData) group.push(this.#readData(frame.body));
      else if (frame.type === TYPE.copyDone) this.#mode = { kind: "ending" };
      else this.#deferred = frame;
    }
    return group;
  }

  #readData(body: Buffer): WalMessage {
    if (body[0] === WAL_DATA && body.byteLength >= WAL_HEADER_BYTES) {
      const view = viewOf(body);
      const start = view.getBigUint64(1) as Lsn;
      if (start !== this.#expected) {
        throw protocolError(`the server sent WAL from ${formatLsn(start)}, expected ${formatLsn(this.#expected)}`);
      }
      const data = body.subarray(WAL_HEADER_BYTES);
      this.#expected = lsnAdd(start, data.byteLength);
      return { kind: "data", start, serverEnd: view.getBigUint64(9) as Lsn, data };
    }
    if (body[0] === KEEPALIVE && body.byteLength >= KEEPALIVE_BYTES) {
      return { kind: "keepalive", serverEnd: body.readBigUInt64BE(1) as Lsn, replyRequested: body[17] === 1 };
    }
    throw protocolError(`a message of the WAL stream has kind ${body[0] ?? "none"} and ${body.byteLength} bytes`);
  }

  #tellEnd(next: NextTimeline): readonly WalMessage[] {
    this.#unwatch();
    this.#mode = { kind: "over" };
    return [{ kind: "timeline-end", next }];
  }

  async #raise(message: Message): Promise<never> {
    this.#mode = { kind: "over" };
    if (message.type === TYPE.error) return await this.#wire.raise(message.body);
    if (message.type === TYPE.commandComplete) throw serverLeft(this.#wire);
    throw unexpected(message, "WAL");
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The server's last word when it ends a stream by itself, COPY done on its side: our own CopyDone, then where to go on. */
async function readTimelineEnd(wire: WireConnection): Promise<NextTimeline> {
  wire.send(copyDone());
  return await readNextTimeline(wire, await wire.read());
}

/** Reads the result set that names the next timeline, where there is one, up to the server being ready. */
export async function readNextTimeline(wire: WireConnection, first: Message): Promise<NextTimeline> {
  let next: NextTimeline;
  let message = first;
  if (message.type === TYPE.rowDescription) {
    const [row] = await wire.resultSet("the next timeline", message);
    next = { timeline: timelineAt(row, 0), switchLsn: lsnAt(row, 1) };
    message = await wire.read();
  }
  while (message.type === TYPE.commandComplete) message = await wire.read();
  if (message.type !== TYPE.ready) throw unexpected(message, "the end of the WAL stream");
  return next;
}

/** A server that shuts down sends its last WAL, completes the command without ending COPY, and goes. */
function serverLeft(wire: WireConnection): LifeboatError {
  return new LifeboatError("postgres.shutting-down", {
    message: `the server ${wire.peer.name} ended the WAL stream because it shuts down`,
    remedy: "Wait until the server accepts connections, then start the stream again.",
    retryable: true,
    details: { server: wire.peer.name },
  });
}
