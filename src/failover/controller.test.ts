import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { leaseThat, only, portsFor } from "../../test/support/failover-ports.ts";
import { POLICY, primaryAnswer, RECORD, standbyAnswer, witnessAnswer } from "../../test/support/failover-views.ts";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { isLifeboatError } from "../errors/error.ts";
import { Controller } from "./controller.ts";
import { SEQUENCE_LIMITS } from "./limits.ts";
import type { Epoch, NodePort, PoolerPort, WitnessPort } from "./ports.ts";

const PACE = {
  probeMs: 100,
  intervalMs: 100,
  suspectMs: 100,
  claimMs: 100,
  rejoinAfterMs: 100,
  catchUpMs: 100,
  rejoinAgainMs: 1_000,
  retryMs: 100,
};

test("a controller that finds no record says so, gives the lease up and claims again", async () => {
  const stop = new AbortController();
  let claims = 0;
  let ended = 0;
  const lease = {
    ...leaseThat(true),
    end: async () => {
      ended += 1;
    },
  };
  const ports = portsFor({
    lease: {
      durationMs: 1_000,
      claim: async () => {
        claims += 1;
        if (claims === 3) stop.abort();
        return { kind: "holder", lease };
      },
    },
    record: {
      read: async () => undefined,
      write: async () => ({ kind: "conflict" }),
    },
  });
  await new Controller(ports, { policy: POLICY, limits: SEQUENCE_LIMITS, pace: PACE }).run({ signal: stop.signal });
  assert.equal(ended, claims);
  assert.ok(ports.told.includes("controller-waits failover.no-record"));
});

const STREAMING = { kind: "streaming", receivedAgoMs: 1_000 } as const;

/** A stack whose primary answers so, and whose record cannot be written any more once it was taken over. */
function stackWith(a: NodePort["probe"], pause: PoolerPort["pause"], checkpoint?: NodePort["checkpoint"]) {
  const clock = new ManualClock();
  let version = 3;
  const ports = portsFor({
    clock,
    lease: { durationMs: 1_000_000, claim: async () => ({ kind: "holder", lease: leaseThat(true) }) },
    record: {
      read: async () => ({ version, epoch: 7 as Epoch, record: RECORD }),
      write: async () => {
        version += 1;
        return version === 4 ? { kind: "done", version } : { kind: "conflict" };
      },
    },
    nodes: [
      only<NodePort>("a", { name: "a", probe: a, ...(checkpoint === undefined ? {} : { checkpoint }) }),
      only<NodePort>("b", {
        name: "b",
        probe: async () => standbyAnswer(checkpoint === undefined ? {} : { receiver: STREAMING }),
      }),
    ],
    witness: only<WitnessPort>("witness", {
      status: async () => witnessAnswer(),
      grant: async () => ({ kind: "done" }),
    }),
    poolers: [
      only<PoolerPort>("pooler", {
        name: "pooler",
        view: async () => ({ epoch: 7, mode: "serving", target: "a" }),
        pause,
      }),
    ],
  });
  const names = (kind: "intent" | "decision"): readonly string[] =>
    ports.written.filter((entry) => entry.kind === kind).map(({ name }) => name);
  const pass = async (durationMs: number): Promise<void> => {
    for (let passed = 0; passed < durationMs; passed += 10) {
      await turn();
      await clock.advance(10);
    }
    await turn();
  };
  return { ports, clock, names, pass };
}

const QUICK = { ...PACE, probeMs: 500, suspectMs: 10 };

test("it looks on and acts while clients are being made to wait, and makes them wait once", async () => {
  const paused = Promise.withResolvers<{ readonly kind: "done" }>();
  let pauses = 0;
  const { ports, names, pass } = stackWith(
    async () => ({ kind: "nobody-listens" }),
    () => {
      pauses += 1;
      return paused.promise;
    },
  );
  const stop = new AbortController();
  const controller = new Controller(ports, { policy: POLICY, limits: SEQUENCE_LIMITS, pace: QUICK });
  const running = controller.run({ signal: stop.signal });
  await pass(200);
  assert.deepEqual(names("decision"), ["suspect", "promotable"]);
  assert.deepEqual(names("intent"), ["mend", "pause-poolers", "failover", "note-action"]);
  assert.equal(pauses, 1);
  paused.resolve({ kind: "done" });
  await pass(10);
  stop.abort();
  await running;
});

test("clients that wait for a login to a silent server are let wait, and are asked to wait for the resume a few times only", async () => {
  let asked = 0;
  const { ports, names, pass } = stackWith(
    async () => ({ kind: "silent" }),
    async ({ sparing, drain }) => {
      assert.deepEqual([sparing, drain], [true, false]);
      asked += 1;
      return { kind: "not-drained", because: "login-in-flight" };
    },
  );
  const stop = new AbortController();
  const controller = new Controller(ports, {
    policy: POLICY,
    limits: SEQUENCE_LIMITS,
    pace: { ...QUICK, retryMs: 500 },
  });
  const running = controller.run({ signal: stop.signal });
  await pass(1_500);
  stop.abort();
  await pass(10);
  await running;
  assert.ok(asked >= 2 && asked <= 4, `asked ${asked} times in one and a half seconds`);
  assert.deepEqual([...new Set(names("decision"))], ["suspect"]);
  const spared = ports.written.find(({ kind, name }) => kind === "outcome" && name === "pause-poolers");
  assert.deepEqual(spared?.facts["shortcomings"], [
    "pooler: a login to the server did not end, and clients wait for it",
  ]);
});

test("a node that does not answer is given up when the policy says so, not a look later", async () => {
  const asked: number[] = [];
  const { ports, clock, names, pass } = stackWith(
    async ({ timeoutMs, signal }) => {
      asked.push(timeoutMs);
      await clock.sleep(timeoutMs, { signal });
      return { kind: "silent" };
    },
    async () => ({ kind: "done" }),
  );
  const stop = new AbortController();
  const controller = new Controller(ports, { policy: POLICY, limits: SEQUENCE_LIMITS, pace: QUICK });
  const running = controller.run({ signal: stop.signal });
  await pass(3_000);
  stop.abort();
  await running;
  // Five whole ones with 10 ms between, and what is left of the 3000 ms.
  assert.deepEqual(asked.slice(0, 6), [500, 500, 500, 500, 500, 450]);
  assert.ok(names("decision").includes("promotable"));
});

test("what it saw while another one acted is known when its turn comes: one look more, beside taking the record over", async () => {
  let looks = 0;
  const { ports, clock, names, pass } = stackWith(
    async () => {
      looks += 1;
      return { kind: "nobody-listens" };
    },
    async () => ({ kind: "done" }),
  );
  const stop = new AbortController();
  const controller = new Controller(ports, { policy: POLICY, limits: SEQUENCE_LIMITS, pace: QUICK });
  const tells: boolean[] = [];
  for (let look = 0; look < 3; look += 1) {
    tells.push(await controller.lookOn({ signal: stop.signal }));
    await clock.advance(100);
  }
  // A third look at the same trouble tells nothing that time alone does not.
  assert.deepEqual([tells, names("decision"), names("intent")], [[true, true, false], [], []]);
  const running = controller.run({ signal: stop.signal });
  await pass(10);
  assert.equal(looks, 4);
  assert.deepEqual(names("decision"), ["promotable"]);
  await pass(50);
  stop.abort();
  await running;
});

test("whoever looked on at one primary and finds another one in the record looks anew", async () => {
  let looks = 0;
  const { ports, names, pass } = stackWith(
    async () => {
      looks += 1;
      return { kind: "nobody-listens" };
    },
    async () => ({ kind: "done" }),
  );
  const stop = new AbortController();
  const controller = new Controller(ports, { policy: POLICY, limits: SEQUENCE_LIMITS, pace: QUICK });
  await controller.lookOn({ signal: stop.signal });
  const read = ports.record.read.bind(ports.record);
  ports.record.read = async (call) => {
    const stored = await read(call);
    return stored === undefined ? undefined : { ...stored, record: { ...stored.record, primary: "b", joined: ["a"] } };
  };
  const running = controller.run({ signal: stop.signal });
  await pass(10);
  // b is a standby: it says so itself. One look on, one beside taking the record over, and the one that counts.
  assert.deepEqual([names("decision"), looks], [["hold"], 3]);
  stop.abort();
  await running;
});

/** A switchover that was asked for, whose checkpoint ends as it is told to. */
function askedSwitchover() {
  const checkpoint = Promise.withResolvers<void>();
  const asked: number[] = [];
  const place = { isWell: true };
  const scene = stackWith(
    async () => (place.isWell ? primaryAnswer() : { kind: "nobody-listens" }),
    async () => ({ kind: "done" }),
    ({ timeoutMs }) => {
      asked.push(timeoutMs);
      return checkpoint.promise;
    },
  );
  const stop = new AbortController();
  const controller = new Controller(scene.ports, { policy: POLICY, limits: SEQUENCE_LIMITS, pace: QUICK });
  const wish = controller.switchOver("b");
  const running = controller.run({ signal: stop.signal });
  const end = async (): Promise<void> => {
    stop.abort();
    checkpoint.resolve();
    await running;
  };
  return { ...scene, place, checkpoint, asked, wish, end };
}

test("a switchover begins when the primary's checkpoint is written, which is asked for once; until then nothing is done and looking goes on", async () => {
  const { names, pass, checkpoint, asked, end } = askedSwitchover();
  await pass(500);
  assert.deepEqual([asked, names("intent")], [[SEQUENCE_LIMITS.checkpointMs], []]);
  checkpoint.resolve();
  await pass(200);
  assert.equal(names("intent")[0], "switchover");
  await end();
});

test("a switchover whose checkpoint is not written in time is refused, and nothing was done", async () => {
  const { names, pass, checkpoint, wish, end } = askedSwitchover();
  await pass(200);
  checkpoint.reject(new Error("takes too long"));
  await pass(200);
  const outcome = await wish;
  assert.ok(outcome.kind === "failed" && isLifeboatError(outcome.error, "failover.switchover-refused"));
  assert.ok(outcome.error.message.includes("takes too long"));
  assert.deepEqual(names("intent"), []);
  await end();
});

test("a primary that is lost while it writes a switchover's checkpoint is replaced as if nobody had asked", async () => {
  const { names, pass, place, wish, end } = askedSwitchover();
  await pass(200);
  place.isWell = false;
  await pass(500);
  assert.deepEqual(names("decision").slice(0, 3), ["healthy", "suspect", "promotable"]);
  assert.ok(names("intent").includes("failover"));
  assert.equal((await wish).kind, "refused");
  await end();
});
