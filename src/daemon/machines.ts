/**
 * The nodes of this machine's stack as wholes: fencing, stopping, starting and rejoining them through the platform.
 *
 * Invariants: an order's epoch is durable before anything is done to a node, on the machine that does it, and is compared once more by the
 * supervisor when it acts (whoever is halted in between is refused there), and in a node before it is
 * started, so that it refuses whoever comes later with a smaller one, also when its data are a backup's; one rejoin of a node is under way at a time; a
 * node that is being rejoined is started only where the epoch that asked for it is still the newest.
 */
import { isLifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import type {
  Call,
  Done,
  Epoch,
  MachinePort,
  NodeName,
  NodeProbe,
  Order,
  StaleEpoch,
  StopAnswer,
} from "../failover/ports.ts";
import type { Clock } from "../platform/clock.ts";
import type { ComponentSpec, Platform } from "../platform/components.ts";
import type { Lsn } from "../postgres/lsn.ts";
import { bounded } from "./authority.ts";
import type { EpochGuard } from "./epoch-guard.ts";

/** As of MachinePort.rejoin. */
type RejoinRequest = { readonly node: NodeName; readonly upstream: NodeName; readonly asked: boolean };

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** What machines need. */
export type MachineTools = {
  readonly platform: Pick<Platform, "fence" | "unfence" | "stop" | "start" | "state">;
  readonly guard: EpochGuard;
  readonly specOf: (node: NodeName) => Promise<ComponentSpec>;
  /** End of the shutdown checkpoint of a node that is down; undefined where it did not end by a clean shutdown. */
  readonly shutdownLsnOf: (node: NodeName) => Promise<Lsn | undefined>;
  /**
   * Makes a node that is down ready to start as a replica of `upstream`, and says what it took. Rejects with
   * `stack.rejoin-refused`.
   */
  readonly prepareReplica: (request: RejoinRequest, options: CallOptions) => Promise<string>;
  /** Writes into the data of a node that is down that this epoch has acted on it. */
  readonly leaveEpoch: (node: NodeName, epoch: Epoch) => Promise<void>;
  /**
   * Called for a node that was started as a replica: returns when it streams and what was kept of it until then is gone, or
   * when that was waited for in vain.
   */
  readonly letGo: (node: NodeName, options: CallOptions) => Promise<void>;
  /** Whether the data of a node that is down were being written over, and that was cut short. */
  readonly isUnfinished: (node: NodeName) => Promise<boolean>;
  /** Whether the node listens. */
  readonly answers: (node: NodeName) => Promise<boolean>;
  readonly clock: Clock;
  /** Told of a rejoin that failed after it was answered for. */
  readonly notice: (message: string) => void;
};

/** Until a server that was started listens: it opens its port before it recovers. */
const LISTENS_TIMEOUT_MS = 10_000;
const LISTENS_LOOK_MS = 20;

/** The machines of a stack on this machine. */
export class LocalMachines implements MachinePort {
  readonly #tools: MachineTools;
  readonly #rejoining = new Map<NodeName, { readonly work: Promise<void>; readonly asked: boolean }>();
  readonly #rejoined = new Map<NodeName, string>();
  /** Why a node was not made to follow when that was ordered last. */
  readonly #failed = new Map<NodeName, Error>();
  /** Cut short by the end of an earlier controller. */
  readonly #unfinished = new Set<NodeName>();
  readonly #lettingGo = new Map<NodeName, Promise<void>>();
  readonly #ending = new AbortController();

  constructor(tools: MachineTools) {
    this.#tools = tools;
  }

  /** Whether the node is being made a replica. */
  isRejoining(node: NodeName): boolean {
    return this.#rejoining.has(node);
  }

  /** What a look at a node came to, which is down while it is being made a replica: on its way, and not to be made one again. */
  onItsWay(node: NodeName, seen: NodeProbe): NodeProbe {
    const under = this.#rejoining.get(node);
    // Whatever it is by now, it has come up since.
    if (seen.kind === "answered") this.#unfinished.delete(node);
    if (seen.kind !== "nobody-listens") return seen;
    if (under === undefined) return this.#unfinished.has(node) ? { ...seen, unfinished: true } : seen;
    return { kind: "error", sqlstate: "57P03", rebuilding: under.asked };
  }

  async fence({ epoch, node }: Order<{ readonly node: NodeName }>, call: Call): Promise<StopAnswer | StaleEpoch> {
    // It is down since its rejoin began, and comes up as a replica: fencing it again would end that, over and over.
    if (this.#rejoining.has(node)) return { kind: "stopped", shutdownLsn: undefined };
    return await this.#bringDown(epoch, call, async (signal) => {
      await this.#tools.platform.fence(node, { signal, epoch });
      return { kind: "stopped", shutdownLsn: undefined };
    });
  }

  async stop({ epoch, node }: Order<{ readonly node: NodeName }>, call: Call): Promise<StopAnswer | StaleEpoch> {
    return await this.#bringDown(epoch, call, async (signal) => {
      await this.#tools.platform.stop(node, { signal, epoch });
      return { kind: "stopped", shutdownLsn: await this.#tools.shutdownLsnOf(node) };
    });
  }

  async start({ epoch, node }: Order<{ readonly node: NodeName }>, call: Call): Promise<Done | StaleEpoch> {
    return await bounded(call, `the platform of ${node}`, async (signal) => {
      const stale = await this.#tools.guard.admit(epoch, { signal });
      return stale ?? (await unlessStale(() => this.#start(epoch, node, { signal }))) ?? { kind: "done" };
    });
  }

  async rejoin(
    {
      epoch,
      node,
      upstream,
      asked = false,
    }: Order<{ readonly node: NodeName; readonly upstream: NodeName; readonly asked?: boolean | undefined }>,
    call: Call,
  ): Promise<Done | StaleEpoch | { readonly kind: "refused"; readonly reason: string }> {
    const stale = await bounded(call, "the record of epochs", (signal) => this.#tools.guard.admit(epoch, { signal }));
    if (stale !== undefined) return stale;
    // Looked at once more: another one that waited may have gone on first.
    if ((await this.#isDoneWith(node, asked, call)) || this.#rejoining.has(node)) return { kind: "done" };
    let refused: string | undefined;
    let late: StaleEpoch | undefined;
    this.#failed.delete(node);
    const work = this.#rejoin(epoch, { node, upstream, asked }).catch((error: unknown) => {
      late = staleOf(error);
      const why = errorText(error);
      this.#failed.set(node, error instanceof Error ? error : new Error(why));
      if (isLifeboatError(error, "stack.rejoin-refused")) refused = why;
      this.#tools.notice(`${node} could not be made to follow ${upstream}: ${why}`);
    });
    const tracked = work.finally(() => this.#rejoining.delete(node));
    this.#rejoining.set(node, { work: tracked, asked });
    // A refusal comes at once, a restore takes as long as it takes: its end is to be seen in the node.
    await Promise.race([tracked, bounded(call, node, async () => await tracked).catch(() => undefined)]);
    return late ?? (refused === undefined ? { kind: "done" } : { kind: "refused", reason: refused });
  }

  /** One is under way. What a person asks for is not done with by one that nobody asked for and that is about to be refused. */
  async #isDoneWith(node: NodeName, asked: boolean, call: Call): Promise<boolean> {
    const under = this.#rejoining.get(node);
    if (under === undefined) return false;
    if (!asked || under.asked) return true;
    await bounded(call, node, async () => await under.work).catch(() => undefined);
    return !this.#failed.has(node);
  }

  /**
   * Looks once whether an earlier controller ended while it wrote over a node's data: what that was as a primary is none of the node's
   * any more, and one that stood by has seen nothing of it. Never rejects.
   */
  async recallUnfinished(node: NodeName): Promise<void> {
    const isUnfinished = await this.#tools.isUnfinished(node).catch((error: unknown) => {
      this.#tools.notice(`whether the data of ${node} are whole was not seen: ${errorText(error)}`);
      return false;
    });
    if (isUnfinished && !this.#rejoining.has(node)) this.#unfinished.add(node);
  }

  /** What the last rejoin of a node took. */
  lastRejoin(node: NodeName): string {
    return this.#rejoined.get(node) ?? "nothing";
  }

  /** Why a node is not made to follow, where that was refused when it was ordered last. */
  refusalOf(node: NodeName): string | undefined {
    const error = this.#failed.get(node);
    return isLifeboatError(error, "stack.rejoin-refused") ? errorText(error) : undefined;
  }

  /** What the last rejoin of a node failed with; undefined where it did not. */
  failureOf(node: NodeName): Error | undefined {
    return this.#failed.get(node);
  }

  /** Returns when no rejoin is under way. */
  async idle(): Promise<void> {
    await Promise.all([...this.#rejoining.values()].map(({ work }) => work));
  }

  /** Has what was kept of the node's old data let go once it streams; one that is waited for already is not waited for twice. */
  letGoLater(node: NodeName): void {
    if (this.#lettingGo.has(node)) return;
    const work = this.#tools
      .letGo(node, { signal: this.#ending.signal })
      .catch((error: unknown) => {
        if (this.#ending.signal.aborted) return;
        const why = errorText(error);
        this.#tools.notice(`what was kept of the old data of ${node} stays: ${why}`);
      })
      .finally(() => this.#lettingGo.delete(node));
    this.#lettingGo.set(node, work);
  }

  /** Returns when nothing of the node's old data is to be let go any more. */
  async letGone(node: NodeName): Promise<void> {
    await this.#lettingGo.get(node);
  }

  /** Ends what is waited for, after what is under way. */
  async close(): Promise<void> {
    await this.idle();
    this.#ending.abort();
    await Promise.all(this.#lettingGo.values());
  }

  async #rejoin(epoch: Epoch, request: RejoinRequest): Promise<void> {
    const { node } = request;
    const { platform, guard, prepareReplica, notice } = this.#tools;
    // Down for sure, and not to be started by anybody meanwhile.
    await platform.fence(node, { epoch });
    this.#rejoined.set(node, await prepareReplica(request, {}));
    const stale = await guard.admit(epoch, {});
    if (stale !== undefined) return notice(`${node} is not started: epoch ${stale.seen} acts`);
    await this.#start(epoch, node, {});
    const deadline = this.#tools.clock.monotonic() + LISTENS_TIMEOUT_MS;
    while (!(await this.#tools.answers(node)) && this.#tools.clock.monotonic() < deadline) {
      await this.#tools.clock.sleep(LISTENS_LOOK_MS, {});
    }
    this.letGoLater(node);
  }

  async #start(epoch: Epoch, node: NodeName, call: CallOptions): Promise<void> {
    const options = { ...call, epoch };
    const { platform, specOf, leaveEpoch } = this.#tools;
    const known = (await platform.state(options)).find(({ name }) => name === node);
    // One that runs hears of it by itself, and would write over what we write.
    if (known?.mode !== "running" && known?.mode !== "frozen") await leaveEpoch(node, epoch);
    if (known?.mode === "fenced") await platform.unfence(node, options);
    await platform.start(await specOf(node), options);
  }

  async #bringDown(
    epoch: Epoch,
    call: Call,
    work: (signal: AbortSignal) => Promise<StopAnswer>,
  ): Promise<StopAnswer | StaleEpoch> {
    try {
      return await bounded(call, "the platform", async (signal) => {
        const stale = await this.#tools.guard.admit(epoch, { signal });
        return stale ?? (await work(signal));
      });
    } catch (error) {
      if (call.signal?.aborted === true) throw error;
      const late = staleOf(error);
      if (late !== undefined) return late;
      return { kind: "unknown", why: errorText(error) };
    }
  }
}

/** The supervisor has carried out an order of a greater epoch since this one was admitted: whoever gave it was halted in between. */
function staleOf(error: unknown): StaleEpoch | undefined {
  if (!isLifeboatError(error, "platform.stale-epoch")) return undefined;
  return { kind: "stale-epoch", seen: Number(error.details["seen"]) as Epoch };
}

async function unlessStale(work: () => Promise<void>): Promise<StaleEpoch | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    const late = staleOf(error);
    if (late === undefined) throw error;
    return late;
  }
}
