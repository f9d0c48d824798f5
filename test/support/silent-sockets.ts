/** A Unix socket at which questions are taken and never answered, as over a link that is cut. */
import { once } from "node:events";
import { rename } from "node:fs/promises";
import { createServer, type Socket } from "node:net";

/** Puts one in the place of another; who listens there is reached again afterwards. */
export async function silenced(socket: string): Promise<AsyncDisposable> {
  const away = `${socket}.away`;
  const sockets = new Set<Socket>();
  await rename(socket, away);
  const server = createServer((connection) => {
    sockets.add(connection);
    connection.on("error", () => undefined);
  });
  server.listen(socket);
  await once(server, "listening");
  return {
    [Symbol.asyncDispose]: async () => {
      for (const connection of sockets) connection.destroy();
      // The name goes with it.
      server.close();
      await once(server, "close");
      await rename(away, socket);
    },
  };
}
