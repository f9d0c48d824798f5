/**
 * The network between the parties of a stack on one machine: a relay at the addresses of a node, which can hold back what goes one
 * way without closing anything.
 *
 * Nouns: a *party* is who connects to a node, told by the name of its session; a *link* leads from a party to a node; *to* is the
 * way towards the node. What a link that is *cut* was given it delivers when it is mended, as a network does that repeats what
 * was lost. A node at which nobody listens is not listened for.
 * What it cannot show: a connection over a link that is cut is accepted, where a network would leave it unanswered; so a party
 * waits for the first answer, not for the connection. Loss is the time that repeating takes; nothing arrives out of order.
 */
import { once } from "node:events";
import { connect, createServer, type NetConnectOpts, type Server, type Socket } from "node:net";
import { systemClock } from "../../src/platform/clock.ts";
import { eventually } from "./receivers.ts";

/** Who connects to a node. */
export const PARTIES = ["controller", "replica", "receiver", "clients"] as const;

/** One of them. */
export type Party = (typeof PARTIES)[number];

/** What a link does with what goes one way. */
export type Way = {
  readonly cut: boolean;
  readonly delayMs: number;
  /** How often a piece is lost, and comes again later. */
  readonly lossShare: number;
};

/** Which links, and which way. */
export type Where = { readonly parties?: readonly Party[]; readonly ways?: readonly ("to" | "from")[] };

const WELL: Way = { cut: false, delayMs: 0, lossShare: 0 };
const LOOK_INTERVAL_MS = 20;
/** TCP repeats what was lost after this, and then after twice the time. */
const REPEATED_AFTER_MS = 200;
const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;

/** Where a node really listens, and where others believe it does. */
export type RelayPlace = {
  readonly at: readonly NetConnectOpts[];
  readonly node: readonly NetConnectOpts[];
};

/** The relay of one node. */
export class NodeLinks implements AsyncDisposable {
  readonly #place: RelayPlace;
  readonly #random: () => number;
  readonly #ways = new Map<string, Way>();
  readonly #sockets = new Set<Socket>();
  #changed = Promise.withResolvers<void>();
  #listening: readonly Server[] = [];
  #closed = false;
  readonly #watching: Promise<void>;
  #turn: Promise<unknown> = Promise.resolve();

  /** `random` decides what is lost. */
  constructor(place: RelayPlace, random: () => number) {
    this.#place = place;
    this.#random = random;
    this.#watching = this.#watch();
  }

  /** Resolves when the node is listened for. */
  async ready(): Promise<void> {
    await eventually("the node is listened for", async () => this.#listening.length > 0);
  }

  /** Notices at once that the node went down, or is there again. */
  async look(): Promise<void> {
    await this.#look();
  }

  /** Changes links: of all parties, both ways, where nothing else is said. */
  set(change: Partial<Way>, { parties = PARTIES, ways = ["to", "from"] }: Where = {}): void {
    for (const party of parties)
      for (const way of ways) this.#ways.set(`${way} ${party}`, { ...this.#way(party, way), ...change });
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** All links are well. */
  heal(): void {
    this.set(WELL);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.heal();
    await this.#watching;
    await this.#turn;
    for (const socket of this.#sockets) socket.destroy();
    this.#unlisten();
  }

  #way(party: Party, way: "to" | "from"): Way {
    return this.#ways.get(`${way} ${party}`) ?? WELL;
  }

  /** Only a node that went down is looked for: each look costs it a process. */
  async #watch(): Promise<void> {
    while (!this.#closed) {
      if (this.#listening.length === 0) await this.#look();
      await systemClock.sleep(LOOK_INTERVAL_MS, {});
    }
  }

  /** Listens as long as the node does, or anybody is cut off from it: who is cut off cannot tell. One look at a time. */
  #look(): Promise<unknown> {
    this.#turn = this.#turn.then(async () => {
      const cut = [...this.#ways.values()].some((way) => way.cut);
      const seen = cut ? undefined : await this.#connect(0);
      seen?.destroy();
      const there = cut || seen !== undefined;
      if (!there) this.#unlisten();
      else if (this.#listening.length === 0 && !this.#closed) await this.#listen();
    });
    return this.#turn;
  }

  async #listen(): Promise<void> {
    const servers = this.#place.at.map(() => createServer());
    for (const [index, server] of servers.entries()) {
      server.on("connection", (socket: Socket) => void this.#serve(socket, index));
      const at = this.#place.at[index];
      server.listen(at);
      await once(server, "listening");
    }
    this.#listening = servers;
  }

  #unlisten(): void {
    for (const server of this.#listening) server.close();
    this.#listening = [];
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
    return socket;
  }

  async #connect(index: number): Promise<Socket | undefined> {
    const place = this.#place.node[index];
    if (place === undefined) return undefined;
    const socket = this.#keep(connect(place));
    try {
      await once(socket, "connect");
    } catch {
      return undefined;
    }
    return socket;
  }

  async #serve(client: Socket, index: number): Promise<void> {
    this.#keep(client);
    const node = await this.#connect(index);
    const chunks = client.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]();
    const startup = await readStartup(client, chunks);
    const party = partyOf(startup);
    if (node === undefined) {
      await this.#passable(party, "to");
      await this.#look();
      breakOff(client);
      return;
    }
    await Promise.all([
      this.#pump({ chunks, first: startup, to: node, from: client }, party, "to"),
      this.#pump(
        { chunks: node.iterator({ destroyOnReturn: false })[Symbol.asyncIterator](), to: client, from: node },
        party,
        "from",
      ),
    ]);
  }

  async #pump(
    pipe: {
      readonly chunks: AsyncIterator<Buffer>;
      readonly first?: Buffer;
      readonly from: Socket;
      readonly to: Socket;
    },
    party: Party,
    way: "to" | "from",
  ): Promise<void> {
    const { chunks, first, from, to } = pipe;
    try {
      let chunk = first ?? (await next(chunks));
      while (chunk !== undefined) {
        await this.#passable(party, way);
        await this.#takeTime(this.#way(party, way));
        if (to.destroyed) break;
        if (!to.write(chunk)) await drained(to);
        chunk = await next(chunks);
      }
      // Whoever hears that it ended may look at once whether anybody listens.
      if (way === "from") await this.#look();
      await this.#passable(party, way);
      to.end();
    } catch {
      if (way === "from") await this.#look();
      await this.#passable(party, way);
      breakOff(to);
      from.destroy();
    }
  }

  async #passable(party: Party, way: "to" | "from"): Promise<void> {
    while (this.#way(party, way).cut) await this.#changed.promise;
  }

  async #takeTime({ delayMs, lossShare }: Way): Promise<void> {
    if (delayMs > 0) await systemClock.sleep(delayMs, {});
    for (let again = REPEATED_AFTER_MS; this.#random() < lossShare; again *= 2) await systemClock.sleep(again, {});
  }
}

/** As the end of a process does. Only TCP has a reset. */
function breakOff(socket: Socket): void {
  if (socket.remoteFamily === undefined) socket.destroy();
  else socket.resetAndDestroy();
}

async function drained(to: Socket): Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  await Promise.race([once(to, "drain", { signal }), once(to, "close", { signal })]).finally(() => over.abort());
}

async function next(chunks: AsyncIterator<Buffer>): Promise<Buffer | undefined> {
  const { value, done } = await chunks.next();
  return done === true ? undefined : value;
}

/** The message that a session begins with; what asks for encryption before it is refused. Source: PostgreSQL manual, "Message Formats". */
async function readStartup(client: Socket, chunks: AsyncIterator<Buffer>): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    while (bytes.length >= 8 && [SSL_REQUEST, GSS_REQUEST].includes(bytes.readUInt32BE(4))) {
      client.write("N");
      bytes = bytes.subarray(8);
    }
    if (bytes.length >= 8 && bytes.length >= bytes.readUInt32BE(0)) return bytes;
    const chunk = await next(chunks).catch(() => undefined);
    if (chunk === undefined) return bytes;
    bytes = Buffer.concat([bytes, chunk]);
  }
}

function partyOf(startup: Buffer): Party {
  const words = startup.subarray(8).toString("latin1").split("\0");
  const name = words[words.indexOf("application_name") + 1] ?? "";
  if (name.startsWith("lifeboat_vault")) return "receiver";
  if (/^(db|db_replica)$/.test(name)) return "replica";
  return name.startsWith("lifeboat_") ? "controller" : "clients";
}
