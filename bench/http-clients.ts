/** HTTP clients that ask as fast as they are answered, or at a rate, over connections that stay: as little work as can be. */
import { connect, type Socket } from "node:net";

/** What is asked. */
export type Target = { readonly port: number; readonly headers: Readonly<Record<string, string>> };

/** What the answers came to. */
export type Answers = {
  readonly count: number;
  /** Other than 200. */
  readonly bad: number;
  /** What one of them said. */
  readonly complaint: string;
  readonly bytes: number;
  readonly latenciesMs: readonly number[];
  readonly wallMs: number;
};

/** `connections` clients, each asking for the next path as soon as it has its answer, for so long. */
export async function askClosed(
  target: Target,
  options: { readonly connections: number; readonly durationMs: number; readonly path: () => string },
): Promise<Answers> {
  const begun = performance.now();
  const end = begun + options.durationMs;
  const totals = { count: 0, bad: 0, bytes: 0, complaint: "" };
  const latenciesMs: number[] = [];
  await Promise.all(
    Array.from({ length: options.connections }, async () => {
      const client = await Client.open(target);
      while (performance.now() < end) {
        const asked = performance.now();
        const { status, bytes, said } = await client.ask(options.path());
        latenciesMs.push(performance.now() - asked);
        totals.count += 1;
        totals.bytes += bytes;
        if (status !== 200) Object.assign(totals, { bad: totals.bad + 1, complaint: said });
      }
      client.close();
    }),
  );
  return { ...totals, latenciesMs, wallMs: performance.now() - begun };
}

/** Requests at moments that were settled before, over as many connections as it takes; latency counts from those moments. */
export async function askOpen(
  target: Target,
  options: {
    readonly perSecond: number;
    readonly durationMs: number;
    readonly path: (index: number) => string;
    readonly answered?: (index: number, answer: Answer & { readonly latencyMs: number }) => void;
  },
): Promise<Answers> {
  const idle: Client[] = [];
  const totals = { count: 0, bad: 0, bytes: 0, complaint: "" };
  const latenciesMs: number[] = [];
  const flying: Promise<void>[] = [];
  const begun = performance.now();
  const requests = Math.floor((options.perSecond * options.durationMs) / 1_000);
  for (let index = 0; index < requests; index += 1) {
    const due = begun + (index * 1_000) / options.perSecond;
    const wait = due - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const one = async (): Promise<void> => {
      const client = idle.pop() ?? (await Client.open(target));
      const answer = await client.ask(options.path(index));
      const { status, bytes, said } = answer;
      const latencyMs = performance.now() - due;
      latenciesMs.push(latencyMs);
      options.answered?.(index, { ...answer, latencyMs });
      totals.count += 1;
      totals.bytes += bytes;
      if (status !== 200) Object.assign(totals, { bad: totals.bad + 1, complaint: said });
      idle.push(client);
    };
    flying.push(one());
  }
  await Promise.all(flying);
  for (const client of idle) client.close();
  return { ...totals, latenciesMs, wallMs: performance.now() - begun };
}

/** One answer. */
type Answer = {
  readonly status: number;
  readonly bytes: number;
  /** Its body, unless it is 200. */
  readonly said: string;
  /** Where the service had it from; empty for programs that do not tell. */
  readonly from: string;
};

/** One connection. */
class Client {
  readonly #socket: Socket;
  readonly #head: string;
  #received = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  #error: Error | undefined;

  private constructor(socket: Socket, head: string) {
    this.#socket = socket;
    this.#head = head;
    socket.on("data", (chunk) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
      this.#wake?.();
    });
    socket.on("close", () => this.#fail(new Error("the server closed the connection")));
    socket.on("error", (error) => this.#fail(error));
  }

  static async open({ port, headers }: Target): Promise<Client> {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    const lines = Object.entries({ host: "localhost", ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    return new Client(socket, ` HTTP/1.1\r\n${lines.join("")}\r\n`);
  }

  async ask(path: string): Promise<Answer> {
    this.#socket.write(`GET ${path}${this.#head}`);
    for (;;) {
      const answer = this.#take();
      if (answer !== undefined) return answer;
      if (this.#error !== undefined) throw this.#error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(): Answer | undefined {
    const end = this.#received.indexOf("\r\n\r\n");
    if (end === -1) return undefined;
    const head = this.#received.toString("latin1", 0, end);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    const whole = end + 4 + length;
    if (this.#received.length < whole) return undefined;
    const status = Number(head.slice(9, 12));
    const said = status === 200 ? "" : this.#received.toString("utf8", 0, Math.min(whole, 1_000));
    this.#received = this.#received.subarray(whole);
    return { status, bytes: length, said, from: /\r\nx-cache: (\w+)/i.exec(head)?.[1] ?? "" };
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#wake?.();
  }
}
