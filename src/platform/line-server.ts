/**
 * Answers questions of one line each over a Unix socket: the other side of exchange.ts.
 *
 * Who may ask is decided by the file system: the socket can be used by its owner alone. Lines, connections and their lives
 * are bounded, so that whoever asks badly keeps nobody else from asking.
 */
import net from "node:net";
import { type Files, fileError } from "./files.ts";

/** A socket that is listened to; close it. */
export type LineServer = { close(): Promise<void> };

/** No question of ours is longer. */
const LINE_BYTES_MAX = 64 * 1024;
/** A few controllers and people, each with one question at a time. */
const CONNECTIONS_MAX = 64;
/** Who says nothing for so long has gone. */
const SILENCE_MS_MAX = 30_000;

/**
 * Listens at a path that nobody else uses: the caller owns the folder by a lock. `answer` must not reject; what it returns
 * ends the connection. Rejects with `platform.file-failed` and the like.
 */
export async function serveLines(
  files: Files,
  socket: string,
  answer: (line: string) => Promise<string>,
): Promise<LineServer> {
  await files.remove(socket);
  const open = new Set<net.Socket>();
  const server = net.createServer((connection) => {
    open.add(connection);
    connection.on("close", () => open.delete(connection));
    serveOne(connection, answer);
  });
  server.maxConnections = CONNECTIONS_MAX;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => reject(fileError("listen at", socket, cause)));
    server.listen(socket, () => resolve());
  });
  await files.changeMode(socket, 0o600);
  return {
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const connection of open) connection.destroy();
      await closed;
    },
  };
}

function serveOne(connection: net.Socket, answer: (line: string) => Promise<string>): void {
  let text = "";
  let asked = false;
  connection.setEncoding("utf8");
  connection.setTimeout(SILENCE_MS_MAX, () => connection.destroy());
  connection.on("error", () => connection.destroy());
  connection.on("data", (more: string) => {
    if (asked) return;
    text += more;
    const end = text.indexOf("\n");
    if (end < 0) {
      if (text.length > LINE_BYTES_MAX) connection.destroy();
      return;
    }
    asked = true;
    // An answer may take longer than a silence is allowed to.
    connection.setTimeout(0);
    void answer(text.slice(0, end)).then((line) => connection.end(line));
  });
}
