/**
 * A socket between us and a server that breaks off at a chosen message of the server's: a read that fails.
 *
 * Nouns: a *message* is one of the server's, counted from 1 since the proxy was armed; the one that is cut arrives half. How far a
 * base backup has come is told by the clock, more often on a busy machine: that is not counted.
 */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import path from "node:path";
import type { ConnectOptions } from "../../src/postgres/replication.ts";
import type { TestServer } from "./servers.ts";

/** What breaks off. */
export type CuttingProxy = AsyncDisposable & {
  /** How to reach the server through it: in the clear. */
  readonly address: Pick<ConnectOptions, "host" | "port">;
  /** Messages since it was armed. */
  readonly messages: number;
  /** True once the planned message was cut. */
  readonly fired: boolean;
  /** Cuts the `at`-th message of the server from now on, once; 0: none. */
  arm(at: number): void;
  /** Ends every connection now. */
  cutNow(): void;
};

/** A type byte and a length lead every message. */
const HEADER_BYTES = 5;
const COPY_DATA = 0x64; // d
/** A letter and how many bytes were sent: the messages with the bytes of files are larger. */
const PROGRESS_BYTES = 9;

/** Opens a proxy in front of a server: `await using proxy = await openCuttingProxy(server)`. */
export async function openCuttingProxy(server: TestServer): Promise<CuttingProxy> {
  const { socketFolder, port } = server.server.setup;
  const upstreamPath = path.join(socketFolder, `.s.PGSQL.${port}`);
  const sockets = new Set<Socket>();
  const state = { at: 0, messages: 0, fired: false };
  const join = (client: Socket): void => {
    const upstream = connect(upstreamPath);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream);
    const parser = new MessageCounter();
    upstream.on("data", (chunk: Buffer) => {
      const cutAt = parser.cutIn(chunk, () => {
        state.messages += 1;
        return state.messages === state.at;
      });
      if (cutAt === undefined) {
        if (!client.write(chunk)) {
          upstream.pause();
          client.once("drain", () => upstream.resume());
        }
        return;
      }
      state.fired = true;
      upstream.removeAllListeners("data");
      // What came before is read, and then nothing more.
      client.end(chunk.subarray(0, cutAt));
      upstream.destroy();
    });
  };
  const listener = createServer({ allowHalfOpen: true }, join);
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const cutNow = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    address: { host: "127.0.0.1", port: (listener.address() as AddressInfo).port },
    get messages() {
      return state.messages;
    },
    get fired() {
      return state.fired;
    },
    arm: (at) => Object.assign(state, { at, messages: 0, fired: false }),
    cutNow,
    [Symbol.asyncDispose]: async () => {
      cutNow();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

/** Finds the messages in what a server sends. */
class MessageCounter {
  #header = Buffer.alloc(0);
  #bodyLeft = 0;

  /** Where in the chunk to cut, when `isCut` says so of a message that begins in it. */
  cutIn(chunk: Buffer, isCut: () => boolean): number | undefined {
    let at = 0;
    while (at < chunk.byteLength) {
      if (this.#bodyLeft > 0) {
        const skipped = Math.min(this.#bodyLeft, chunk.byteLength - at);
        this.#bodyLeft -= skipped;
        at += skipped;
        continue;
      }
      const taken = chunk.subarray(at, at + HEADER_BYTES - this.#header.byteLength);
      this.#header = Buffer.concat([this.#header, taken]);
      at += taken.byteLength;
      if (this.#header.byteLength < HEADER_BYTES) return undefined;
      this.#bodyLeft = this.#header.readUInt32BE(1) - 4;
      const isProgress = this.#header[0] === COPY_DATA && this.#bodyLeft === PROGRESS_BYTES;
      this.#header = Buffer.alloc(0);
      if (!isProgress && isCut()) return at + Math.min(this.#bodyLeft >> 1, chunk.byteLength - at);
    }
    return undefined;
  }
}
