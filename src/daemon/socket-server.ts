/** Answers what a daemon is asked over its Unix socket, as a service. */
import net from "node:net";
import { createInterface } from "node:readline";
import type { Files } from "../platform/files.ts";
import { answerLine, type DaemonRequest, failureLine, parseRequest } from "./protocol.ts";
import type { Service } from "./service.ts";

/** How a question is answered. */
export type Answering = {
  /** Aborts when who asked is gone, or the daemon ends. */
  readonly signal: AbortSignal;
  /** Sends a part of the answer at once. */
  readonly tell: (part: unknown) => void;
};

/** What answers. */
export type Answerer = (request: DaemonRequest, answering: Answering) => Promise<unknown>;

/** Of a daemon: a person, a script and a console at once. */
const CONNECTIONS_MAX = 64;
/** One question. */
const LINE_BYTES_MAX = 64 * 1024;

/**
 * The service. The socket lies in a folder that only its owner can enter, and whoever can is believed. One daemon is there at a
 * time (who starts this holds its lock), so a socket that lies there already is nobody's.
 */
export function socketServer(files: Files, socket: string, answerer: Answerer): Service {
  let server: net.Server | undefined;
  const connections = new Set<net.Socket>();
  const ending = new Set<AbortController>();
  return {
    name: "socket",
    start: async () => {
      if (server !== undefined) return;
      await files.remove(socket);
      const listening = net.createServer((connection) => {
        connections.add(connection);
        connection.on("close", () => connections.delete(connection));
        serve(connection, answerer, ending);
      });
      listening.maxConnections = CONNECTIONS_MAX;
      await new Promise<void>((resolve, reject) => {
        listening.once("error", reject);
        listening.listen(socket, () => resolve());
      });
      await files.changeMode(socket, 0o600);
      server = listening;
    },
    stop: async () => {
      const closing = server;
      server = undefined;
      if (closing === undefined) return;
      const closed = new Promise<void>((resolve) => closing.close(() => resolve()));
      for (const each of ending) each.abort();
      for (const connection of connections) connection.destroySoon();
      await closed;
      await files.remove(socket);
    },
  };
}

function serve(connection: net.Socket, answerer: Answerer, ending: Set<AbortController>): void {
  const gone = new AbortController();
  ending.add(gone);
  connection.on("error", () => connection.destroy());
  connection.on("close", () => {
    ending.delete(gone);
    gone.abort();
  });
  let bytes = 0;
  connection.on("data", (data) => {
    bytes += data.byteLength;
    if (bytes > LINE_BYTES_MAX) connection.destroy();
  });
  const lines = createInterface({ input: connection });
  // It tells the connection's errors once more.
  lines.on("error", () => undefined);
  lines.once("line", (line) => {
    const tell = (part: unknown): void => {
      if (!connection.writableEnded && !connection.destroyed)
        connection.write(answerLine({ kind: "part", value: part }));
    };
    const answered = Promise.resolve()
      .then(() => answerer(parseRequest(line), { signal: gone.signal, tell }))
      .then((value) => answerLine({ kind: "result", value }), failureLine);
    void answered.then((text) => {
      // Who asked is gone, or the daemon ends.
      if (!connection.writableEnded) connection.end(text);
    });
  });
}
