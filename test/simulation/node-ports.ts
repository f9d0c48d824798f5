/** The ports of failover to simulated servers and their machines, as seen from one controller. */
import type {
  Call,
  Done,
  Epoch,
  MachinePort,
  NodePort,
  NodeProbe,
  NodeView,
  StaleEpoch,
  StopAnswer,
} from "../../src/failover/ports.ts";
import type { Lsn, SystemId, Timeline } from "../../src/postgres/lsn.ts";
import type { Server } from "./server.ts";
import type { Stack } from "./stack.ts";
import { NoAnswer, type Process } from "./world.ts";

const DONE: Done = { kind: "done" };
const ROOM_BYTES = 1_000_000_000;
/** Now and then longer than anybody waits for it. */
const CHECKPOINT_MS = [10, 650] as const;

/** Between two commits of which none was seen to wait. */
const COMMIT_LOOK_MS = 5;

/** A position as the ports have it. */
export function lsnOf(position: number): Lsn {
  return BigInt(Math.round(position)) as Lsn;
}

/** An order to a server's machine: refused when a greater epoch was there before. */
function order<T>(
  route: { readonly stack: Stack; readonly from: Process; readonly to: Process; readonly server: Server },
  facts: { readonly epoch: Epoch; readonly call: Call },
  act: (reply: (value: T) => void) => void,
): Promise<T | StaleEpoch> {
  const { stack, from, to, server } = route;
  const { without } = stack.settings;
  const isStale = (): boolean => facts.epoch < server.epochFor(from) && !without.has("epoch check");
  // As a file beside the controllers of a machine would do it: between this and what comes of it there is time to be halted.
  const comparesFirst = to === server.agent && without.has("epoch where it is carried out");
  if (comparesFirst && !isStale()) server.hear(from, facts.epoch);
  else if (comparesFirst) return Promise.resolve({ kind: "stale-epoch", seen: server.epochFor(from) as Epoch });
  return stack.world.call<T | StaleEpoch>(
    from,
    to,
    facts.call.timeoutMs,
    (reply) => {
      if (!comparesFirst && isStale()) {
        reply({ kind: "stale-epoch", seen: server.epochFor(from) as Epoch });
        return;
      }
      server.hear(from, facts.epoch);
      act(reply);
    },
    "order",
  );
}

/** A server. */
export function nodePort(stack: Stack, from: Process, server: Server): NodePort {
  const toServer = { stack, from, to: server.process, server };
  const done = (epoch: Epoch, call: Call, act: () => void): Promise<Done | StaleEpoch> =>
    order<Done>(toServer, { epoch, call }, (reply) => {
      if (server.mode === "starting") return;
      act();
      reply(DONE);
    });
  return {
    name: server.name,
    probe: (call) => probe(stack, from, server, call),
    setSynchronousNames: ({ epoch, names }, call) => done(epoch, call, () => server.setNames(names)),
    commitsWait: ({ timeoutMs }) =>
      stack.world.call<boolean>(from, server.process, timeoutMs * 2, (reply) => {
        const deadline = stack.world.now + timeoutMs;
        const look = (): void => {
          if (server.mode !== "primary" || server.commitsWait || stack.world.now >= deadline) reply(server.commitsWait);
          else stack.world.after(server.process, COMMIT_LOOK_MS, look);
        };
        look();
      }),
    stopReceiving: ({ epoch }, call) => done(epoch, call, () => server.stopReceiving()),
    // No query is in conflict with what is replayed here.
    hurryReplay: ({ epoch }, call) => done(epoch, call, () => undefined),
    receiveFrom: ({ epoch, upstream }, call) =>
      done(epoch, call, () => {
        if (server.mode !== "standby") return;
        server.upstream = upstream;
        if (server.incoming?.server.name !== upstream) server.incoming?.close();
        server.receiveAgain();
      }),
    makeSlots: ({ epoch, slots }, call) =>
      done(epoch, call, () => {
        for (const slot of slots) server.slots.add(slot);
      }),
    checkpoint: ({ timeoutMs }) =>
      stack.world.call<void>(from, server.process, timeoutMs, (reply) => {
        const takesMs = stack.world.chance.between(...CHECKPOINT_MS);
        stack.world.after(server.process, takesMs, () => reply(undefined));
      }),
    // Who reads why it was given up is not simulated.
    openTransactions: async () => [],
    // A server keeps all of it here, and nobody promotes by hand.
    hasWalSince: async () => true,
    promote: ({ epoch }, call) => done(epoch, call, () => server.promote()),
  };
}

async function probe(stack: Stack, from: Process, server: Server, { timeoutMs }: Call): Promise<NodeProbe> {
  const { world } = stack;
  try {
    return await world.call<NodeProbe>(from, server.process, timeoutMs, (reply) => {
      if (server.mode === "starting") {
        reply({ kind: "error", sqlstate: "57P03" });
        return;
      }
      if (server.mode !== "primary") {
        reply({ kind: "answered", view: viewOf(stack, server, { kind: "written" }) });
        return;
      }
      let answered = false;
      const answer = (write: Extract<NodeView["role"], { kind: "primary" }>["write"]): void => {
        if (answered || server.mode !== "primary") return;
        answered = true;
        reply({ kind: "answered", view: viewOf(stack, server, write) });
      };
      world.after(server.process, timeoutMs * 0.8, () => answer({ kind: "stuck" }));
      server.writeLocally((result) =>
        answer(result === "written" ? { kind: "written" } : { kind: "failed", sqlstate: "53100" }),
      );
    });
  } catch (error) {
    return { kind: error instanceof NoAnswer && error.why === "refused" ? "nobody-listens" : "silent" };
  }
}

function viewOf(
  { world, settings }: Stack,
  server: Server,
  write: Extract<NodeView["role"], { kind: "primary" }>["write"],
): NodeView {
  const base = {
    systemId: "1" as SystemId,
    timeline: server.timeline as Timeline,
    synchronousNames: server.names,
    cloning: server.cloning,
    freeBytes: ROOM_BYTES,
    hindrances: [],
  };
  if (server.mode === "primary") {
    const confirmers = server.outgoing.map(({ name, confirmed }) => ({
      applicationName: name,
      streaming: true,
      flushed: lsnOf(confirmed),
    }));
    const { flushed, timelineStart } = server;
    const start = timelineStart === undefined ? undefined : lsnOf(timelineStart);
    return {
      ...base,
      role: {
        kind: "primary",
        flushed: lsnOf(flushed),
        timelineStart: start,
        write,
        confirmers,
        synchronousCommit: "on",
      },
    };
  }
  const { incoming, connecting } = server;
  const receiver =
    incoming !== undefined
      ? ({ kind: "streaming", receivedAgoMs: world.now - incoming.heardAt } as const)
      : ({ kind: connecting ? "connecting" : "none" } as const);
  const lies = settings.without.has("replay wait");
  return {
    ...base,
    role: {
      kind: "standby",
      flushed: lsnOf(server.flushed),
      replayed: lsnOf(server.replayed),
      replayIdle: lies || server.replayIdle,
      receiver,
      upstream: server.upstream !== undefined,
    },
  };
}

/** What runs the servers: an agent on each machine. */
export function machinePort(stack: Stack, from: Process): MachinePort {
  const route = (node: string) => {
    const server = stack.server(node);
    return { stack, from, to: server.agent, server };
  };
  return {
    fence: ({ epoch, node }, call) =>
      order<StopAnswer>(route(node), { epoch, call }, (reply) => {
        const server = stack.server(node);
        if (!stack.settings.without.has("fence")) {
          server.fenced = true;
          if (server.process.alive) server.crash(false);
        }
        reply({ kind: "stopped", shutdownLsn: undefined });
      }).catch((error: unknown) => unknownStop(error, stack, node)),
    stop: ({ epoch, node }, call) =>
      order<StopAnswer>(route(node), { epoch, call }, (reply) => {
        const server = stack.server(node);
        if (!server.process.alive) {
          reply({ kind: "stopped", shutdownLsn: undefined });
          return;
        }
        stack.world.inside(server.process, server.process.life, () =>
          server.stopClean((at) => {
            if (!server.process.alive)
              reply({ kind: "stopped", shutdownLsn: at === undefined ? undefined : lsnOf(at) });
          }),
        );
      }).catch((error: unknown) => unknownStop(error, stack, node)),
    start: ({ epoch, node }, call) =>
      order<Done>(route(node), { epoch, call }, (reply) => {
        const server = stack.server(node);
        server.fenced = false;
        server.start();
        reply(DONE);
      }),
    rejoin: ({ epoch, node, upstream }, call) =>
      order<Done>(route(node), { epoch, call }, (reply) => {
        stack.rejoin(stack.server(node), stack.server(upstream));
        reply(DONE);
      }),
  };
}

function unknownStop(error: unknown, stack: Stack, node: string): StopAnswer {
  // Without the rule, a machine that does not answer is taken for one that is down.
  if (stack.settings.without.has("fence")) return { kind: "stopped", shutdownLsn: undefined };
  return { kind: "unknown", why: `${node}: ${String(error)}` };
}
