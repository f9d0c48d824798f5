/** A TCP relay that can be cut: it then takes what comes, passes nothing on and closes nothing, as a network that loses packets. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** The relay. What it was given while it was cut is lost; connections from then do not come to life again. */
export class SwallowingRelay implements AsyncDisposable {
  readonly #server = createServer((client) => this.#join(client));
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  #cut = false;

  private constructor(port: number) {
    this.#port = port;
  }

  /** Opens one in front of a port of this machine. */
  static async open(port: number): Promise<SwallowingRelay> {
    const relay = new SwallowingRelay(port);
    relay.#server.listen(0, "127.0.0.1");
    await once(relay.#server, "listening");
    return relay;
  }

  /** Where it listens. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  cut(): void {
    this.#cut = true;
  }

  /** Whoever hung on it must connect anew. */
  heal(): void {
    this.#cut = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.heal();
    this.#server.close();
    await once(this.#server, "close");
  }

  #join(client: Socket): void {
    const server = connect(this.#port, "127.0.0.1");
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.on("data", (bytes) => {
        if (!this.#cut) to.write(bytes);
      });
      from.on("error", () => undefined);
      from.on("close", () => {
        this.#sockets.delete(from);
        if (!this.#cut) to.destroy();
      });
    }
  }
}
