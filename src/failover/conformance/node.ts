/**
 * What every PostgreSQL server does that failover rests on, real ones and the simulated. Each driver's test calls this with a
 * primary and its replica of its own.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../../platform/clock.ts";
import type { Epoch, NodeName, NodePort, NodeView } from "../ports.ts";

/** A primary and its replica, which streams under its own name; nobody confirms commits but who is named. */
export type NodesUnderTest = {
  readonly primary: NodePort;
  readonly replica: NodePort;
  /** The primary, as another controller on another machine knows it: what is not kept at the node the two do not share. */
  readonly elsewhere: NodePort;
  readonly clock: Clock;
  /** A client's write of this number: resolves when the node has answered, with whether it was acknowledged. */
  readonly write: (node: NodeName, id: number) => Promise<boolean>;
  /** Whether a client sees the write of this number. */
  readonly has: (node: NodeName, id: number) => Promise<boolean>;
  /** Ends the server as SIGKILL does. */
  readonly crash: (node: NodeName) => Promise<void>;
  readonly start: (node: NodeName) => Promise<void>;
  /** Halts all of the server's processes, and lets them go on. */
  readonly halt: (node: NodeName) => Promise<void>;
  readonly goOn: (node: NodeName) => Promise<void>;
};

/** Runs `work` with nodes, whatever became of those of an earlier call. */
export type WithNodes = (work: (under: NodesUnderTest) => Promise<void>) => Promise<void>;

const CALL = { timeoutMs: 2_000 };
const NOBODY = "ANY 1 (nobody)";
/** Long enough for a commit to show that it waits. */
const WHILE_MS = 100;
const LOOK_MS = 20;
const LOOKS_MAX = 1_500;

/** Declares the tests. */
export function nodeConformance(withNodes: WithNodes): void {
  viewConformance(withNodes);
  commitConformance(withNodes);
  receivingConformance(withNodes);
  orderConformance(withNodes);
  promotionConformance(withNodes);
}

function viewConformance(withNodes: WithNodes): void {
  test("a primary and the replica that streams from it say what they are", async () => {
    await withNodes(async (under) => {
      await streams(under);
      // The replica first: what it has then, the primary has.
      const replica = await standbyView(under);
      const primary = await primaryView(under);
      assert.deepEqual([replica.view.systemId, replica.view.timeline], [primary.view.systemId, primary.view.timeline]);
      assert.deepEqual(primary.role.write, { kind: "written" });
      const named = primary.role.confirmers.filter(({ applicationName }) => applicationName === under.replica.name);
      assert.deepEqual([named.length, named[0]?.streaming], [1, true]);
      assert.ok(replica.role.upstream && replica.role.receiver.kind === "streaming");
      assert.ok(replica.role.replayed <= replica.role.flushed && replica.role.flushed <= primary.role.flushed);
    });
  });

  test("a server that was killed refuses, one that is halted is silent, and both come back as what they were", async () => {
    await withNodes(async (under) => {
      const { primary, crash, start, halt, goOn } = under;
      await halt(primary.name);
      assert.equal((await primary.probe({ timeoutMs: 300 })).kind, "silent");
      await goOn(primary.name);
      await primaryView(under);
      await crash(primary.name);
      assert.equal((await primary.probe(CALL)).kind, "nobody-listens");
      await start(primary.name);
      await primaryView(under);
      await streams(under);
    });
  });
}

function commitConformance(withNodes: WithNodes): void {
  test("a commit is acknowledged when one that is named has confirmed it, and a look waits for nobody", async () => {
    await withNodes(async (under) => {
      const { primary, replica } = under;
      await primary.setSynchronousNames({ epoch: epoch(1), names: "" }, CALL);
      assert.equal(await primary.commitsWait({ timeoutMs: WHILE_MS }), false);
      await primary.setSynchronousNames({ epoch: epoch(1), names: NOBODY }, CALL);
      const commit = await waitingCommit(under, 1);
      assert.deepEqual((await primaryView(under)).role.write, { kind: "written" });
      await primary.setSynchronousNames({ epoch: epoch(1), names: `ANY 1 (nobody, ${replica.name})` }, CALL);
      await until(under, "the commit is acknowledged", async () => commit() === true);
      await until(under, "the replica has replayed it", async () => await under.has(replica.name, 1));
      assert.equal((await primaryView(under)).view.synchronousNames, `ANY 1 (nobody, ${replica.name})`);
    });
  });

  test("a commit that nobody confirmed is there after a crash, though nobody was told so", async () => {
    await withNodes(async (under) => {
      const { primary, crash, start, has } = under;
      await primary.setSynchronousNames({ epoch: epoch(1), names: NOBODY }, CALL);
      const commit = await waitingCommit(under, 2);
      await crash(primary.name);
      await start(primary.name);
      await primaryView(under);
      assert.equal(await has(primary.name, 2), true);
      assert.notEqual(commit(), true);
      await streams(under);
    });
  });
}

function receivingConformance(withNodes: WithNodes): void {
  test("a replica that was told to stop has no receiver, has no more than it had and confirms nothing, until it is told from whom", async () => {
    await withNodes(async (under) => {
      const { primary, replica, clock, write } = under;
      await primary.setSynchronousNames({ epoch: epoch(1), names: `ANY 1 (${replica.name})` }, CALL);
      await commitsWait(under, primary);
      assert.equal(await write(primary.name, 3), true);
      await replica.stopReceiving({ epoch: epoch(1) }, CALL);
      const { role } = await receiverGone(under);
      const commit = settled(write(primary.name, 4));
      await clock.sleep(WHILE_MS, {});
      assert.equal(commit(), undefined);
      assert.equal((await standbyView(under)).role.flushed, role.flushed);
      await replica.receiveFrom({ epoch: epoch(1), upstream: primary.name }, CALL);
      await until(under, "the commit is acknowledged", async () => commit() === true);
      await streams(under);
    });
  });
}

function orderConformance(withNodes: WithNodes): void {
  test("an order of an earlier epoch than one that was seen has no effect, whoever gave that one, and after a crash too", async () => {
    await withNodes(async (under) => {
      const { primary, elsewhere } = under;
      await primary.setSynchronousNames({ epoch: epoch(4), names: "" }, CALL);
      await elsewhere.setSynchronousNames({ epoch: epoch(5), names: "" }, CALL);
      const late = { epoch: epoch(4) };
      for (const [order, send] of Object.entries({
        setSynchronousNames: () => primary.setSynchronousNames({ ...late, names: NOBODY }, CALL),
        makeSlots: () => primary.makeSlots({ ...late, slots: ["late"] }, CALL),
        stopReceiving: () => primary.stopReceiving(late, CALL),
        hurryReplay: () => primary.hurryReplay(late, CALL),
        receiveFrom: () => primary.receiveFrom({ ...late, upstream: under.replica.name }, CALL),
        promote: () => primary.promote(late, CALL),
      })) {
        assert.deepEqual(await send(), { kind: "stale-epoch", seen: 5 }, order);
      }
      assert.equal((await primaryView(under)).view.synchronousNames, "");
      assert.equal(await under.write(primary.name, 5), true);
      await under.crash(primary.name);
      await under.start(primary.name);
      await primaryView(under);
      assert.deepEqual(await primary.promote({ epoch: epoch(4) }, CALL), { kind: "stale-epoch", seen: 5 });
      await streams(under);
    });
  });
}

function promotionConformance(withNodes: WithNodes): void {
  test("a replica that is promoted has all that it had, on a timeline of its own, once, and is a primary after a crash too", async () => {
    await withNodes(async (under) => {
      const { primary, replica, write, has, crash, start } = under;
      await primary.setSynchronousNames({ epoch: epoch(6), names: `ANY 1 (${replica.name})` }, CALL);
      await commitsWait(under, primary);
      assert.equal(await write(primary.name, 6), true);
      await replica.stopReceiving({ epoch: epoch(6) }, CALL);
      const before = await receiverGone(under);
      await replica.makeSlots({ epoch: epoch(6), slots: ["one", "two"] }, CALL);
      await replica.setSynchronousNames({ epoch: epoch(6), names: NOBODY }, CALL);
      await replica.promote({ epoch: epoch(6) }, CALL);
      const promoted = await promotedView(under);
      assert.ok(promoted.view.timeline > before.view.timeline);
      const { timelineStart, flushed } = promoted.role;
      assert.ok(timelineStart !== undefined && timelineStart <= flushed && timelineStart <= before.role.flushed);
      assert.equal(await has(replica.name, 6), true);
      const commit = await waitingCommit(under, 7, replica);
      await replica.setSynchronousNames({ epoch: epoch(6), names: "" }, CALL);
      await until(under, "the commit is acknowledged", async () => commit() === true);
      await replica.makeSlots({ epoch: epoch(6), slots: ["one", "two"] }, CALL);
      await replica.promote({ epoch: epoch(6) }, CALL);
      await crash(replica.name);
      await start(replica.name);
      assert.equal((await promotedView(under)).view.timeline, promoted.view.timeline);
      assert.equal(await has(replica.name, 7), true);
      // The old one goes its own way, and says so.
      assert.equal((await primaryView(under)).view.timeline, before.view.timeline);
    });
  });
}

type Standing<Kind> = {
  readonly view: NodeView;
  readonly role: Extract<NodeView["role"], { readonly kind: Kind }>;
};

async function primaryView(under: NodesUnderTest): Promise<Standing<"primary">> {
  return await viewWhen(under, under.primary, (view) => view.role.kind === "primary" && { view, role: view.role });
}

async function promotedView(under: NodesUnderTest): Promise<Standing<"primary">> {
  return await viewWhen(under, under.replica, (view) => view.role.kind === "primary" && { view, role: view.role });
}

async function standbyView(under: NodesUnderTest): Promise<Standing<"standby">> {
  return await viewWhen(under, under.replica, (view) => view.role.kind === "standby" && { view, role: view.role });
}

async function receiverGone(under: NodesUnderTest): Promise<Standing<"standby">> {
  return await viewWhen(under, under.replica, (view) => {
    const { role } = view;
    return role.kind === "standby" && role.receiver.kind === "none" && !role.upstream && { view, role };
  });
}

async function streams(under: NodesUnderTest): Promise<void> {
  await viewWhen(under, under.primary, ({ role }) => {
    if (role.kind !== "primary") return false;
    return role.confirmers.some((each) => each.applicationName === under.replica.name && each.streaming);
  });
}

async function viewWhen<T>(under: NodesUnderTest, node: NodePort, take: (view: NodeView) => T | false): Promise<T> {
  return await until(under, `${node.name} is as expected`, async () => {
    const probe = await node.probe(CALL);
    return probe.kind === "answered" && take(probe.view);
  });
}

async function until<T>({ clock }: NodesUnderTest, what: string, look: () => Promise<T | false>): Promise<T> {
  for (let count = 0; count < LOOKS_MAX; count += 1) {
    const found = await look();
    if (found !== false) return found;
    await clock.sleep(LOOK_MS, {});
  }
  throw new Error(`${what}: never`);
}

async function commitsWait(under: NodesUnderTest, node: NodePort): Promise<void> {
  await until(under, "commits wait", async () => await node.commitsWait(CALL));
}

/** A commit that is not acknowledged, once commits were seen to wait. */
async function waitingCommit(
  under: NodesUnderTest,
  id: number,
  node = under.primary,
): Promise<() => boolean | undefined> {
  const { clock, write } = under;
  await commitsWait(under, node);
  const commit = settled(write(node.name, id));
  await clock.sleep(WHILE_MS, {});
  assert.equal(commit(), undefined);
  return commit;
}

/** What a promise came to so far. */
function settled(work: Promise<boolean>): () => boolean | undefined {
  let result: boolean | undefined;
  work.then(
    (value) => {
      result = value;
    },
    () => {
      result = false;
    },
  );
  return () => result;
}

function epoch(number: number): Epoch {
  return number as Epoch;
}
