/** A server's port whose logins take as long as a test wants: what it sends first is held back. */
import { connect, createServer, type Socket } from "node:net";
import { systemClock } from "../../src/platform/clock.ts";
import type { ServerAddress } from "../../src/pooler/pooler.ts";

/** The port. */
export type SlowLogins = {
  readonly address: ServerAddress;
  /** Milliseconds by which the next logins are held back; Infinity: until it is set again. */
  delayMs: number;
  /** Logins that are held back now. */
  readonly held: number;
};

const LOOK_INTERVAL_MS = 2;

/** Runs `body` with a port that leads to `server`; closed with all its connections afterwards. */
export async function withSlowLogins<T>(server: ServerAddress, body: (slow: SlowLogins) => Promise<T>): Promise<T> {
  const sockets = new Set<Socket>();
  const state = { delayMs: 0, held: 0 };
  const listener = createServer((socket) => void relay(socket));
  const relay = async (socket: Socket): Promise<void> => {
    const upstream = connect(server.port, server.host);
    for (const each of [socket, upstream]) {
      sockets.add(each);
      each.setNoDelay(true);
      each.on("error", () => undefined);
      each.on("close", () => {
        sockets.delete(each);
        socket.destroy();
        upstream.destroy();
      });
    }
    socket.pipe(upstream);
    state.held += 1;
    const since = systemClock.monotonic();
    while (systemClock.monotonic() - since < state.delayMs && !socket.destroyed) {
      await systemClock.sleep(LOOK_INTERVAL_MS, {});
    }
    state.held -= 1;
    upstream.pipe(socket);
  };
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const address = listener.address();
  if (typeof address !== "object" || address === null) throw new Error("a listener has an address");
  const slow = Object.assign(state, { address: { host: "127.0.0.1", port: address.port } });
  try {
    return await body(slow);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => listener.close(resolve));
  }
}
