import assert from "node:assert/strict";
import { test } from "node:test";
import { leaseThat, only, portsFor } from "../../test/support/failover-ports.ts";
import { confirmer, primaryAnswer, RECORD } from "../../test/support/failover-views.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { Lsn } from "../postgres/lsn.ts";
import { Acting } from "./acting.ts";
import { changeDurability } from "./change-durability.ts";
import { requiredConfirmers } from "./decide.ts";
import type { ClusterRecord, Durability, Epoch, NodePort, NodeProbe, RecordPort, StoredRecord } from "./ports.ts";

const LIMITS = { orderMs: 1_000, pollMs: 10, coverMs: 5_000 };
const NAMES = {
  async: "",
  quorum: "ANY 1 (b, lifeboat_vault_e7)",
  strict: "ANY 2 (b, lifeboat_vault_e7)",
} as const;

/** A stack of which every effect can fail. */
class FakeStack {
  stored: StoredRecord;
  names: string;
  /** What b and the witness have synced, by look; the last one stays. */
  readonly synced: (readonly [b: number, witness: number])[];
  readonly effects: string[] = [];
  /** Who else takes the WAL, and has all of it. */
  strangers: readonly string[] = ["copy"];
  /** The effect, counted from 1, that fails; 0: none. */
  failAt = 0;
  synchronousCommit = "on";
  /** Whether the primary's checkpointer has read what it was told. */
  commitsWait = true;

  constructor(durability: Durability, synced: readonly (readonly [number, number])[] = [[1_000, 1_000]]) {
    this.stored = { version: 3, epoch: 7 as Epoch, record: { ...RECORD, durability } };
    this.names = NAMES[durability];
    this.synced = [...synced];
  }

  get weaker(): number {
    const server = (Object.keys(NAMES) as Durability[]).find((mode) => NAMES[mode] === this.names) ?? "async";
    return Math.min(requiredConfirmers(server), requiredConfirmers(this.stored.record.durability));
  }

  change(to: Durability, record: Partial<ClusterRecord> = {}): Promise<StoredRecord> {
    const a = only<NodePort>("a", {
      name: "a",
      probe: async () => this.#probe(),
      setSynchronousNames: async ({ names }) => {
        this.#effect(`names ${names}`);
        this.names = names;
        return { kind: "done" };
      },
      commitsWait: async () => this.commitsWait,
    });
    const b = only<NodePort>("b", { name: "b" });
    const recordPort = only<RecordPort>("record", {
      write: async ({ over, epoch, record: written }) => {
        this.#effect(`record ${written.durability}`);
        assert.equal(over, this.stored.version);
        this.stored = { version: over + 1, epoch, record: written };
        return { kind: "done", version: over + 1 };
      },
    });
    const acting = new Acting(portsFor({ nodes: [a, b], record: recordPort }), leaseThat(true), undefined);
    const stored = { ...this.stored, record: { ...this.stored.record, ...record } };
    return changeDurability(acting, stored, { to, limits: LIMITS });
  }

  #probe(): NodeProbe {
    const [b, witness] = this.synced.length > 1 ? (this.synced.shift() ?? [0, 0]) : (this.synced[0] ?? [0, 0]);
    const strangers = this.strangers.map((name) => confirmer(name, 9_999));
    const confirmers = [confirmer("b", b), confirmer("lifeboat_vault_e7", witness), ...strangers];
    return primaryAnswer(
      { flushed: 1_000n as Lsn, confirmers, synchronousCommit: this.synchronousCommit },
      { synchronousNames: this.names },
    );
  }

  #effect(what: string): void {
    this.effects.push(what);
    if (this.effects.length === this.failAt) throw new Error(`it fails: ${what}`);
  }
}

test("going down the record says so before the primary does, going up the primary does before the record says so", async () => {
  const down = new FakeStack("strict");
  assert.equal((await down.change("async")).record.durability, "async");
  assert.deepEqual(down.effects, ["record async", "names "]);
  const up = new FakeStack("async");
  assert.equal((await up.change("quorum")).version, 4);
  assert.deepEqual(up.effects, [`names ${NAMES.quorum}`, "record quorum"]);
});

test("going up, what was acknowledged without confirmers is where the mode promises it before the record promises it", async () => {
  const up = new FakeStack("async", [
    [900, 400],
    [900, 990],
    [950, 1_000],
  ]);
  await up.change("quorum");
  assert.equal(up.synced.length, 1);
  const both = new FakeStack("quorum", [
    [1_000, 400],
    [1_000, 1_000],
  ]);
  await both.change("strict");
  assert.equal(both.synced.length, 1);
});

test("a stream without a name, with a part of a confirmer's name, or a second one under it covers nothing", async () => {
  for (const stranger of ["", "vault", "lifeboat_vault", "ANY", "b"]) {
    const up = new FakeStack("async", [[400, 300]]);
    up.strangers = [stranger];
    await assert.rejects(
      up.change("quorum"),
      (error) => isLifeboatError(error, "durability.not-taken"),
      `"${stranger}"`,
    );
    assert.equal(up.stored.record.durability, "async");
  }
  // PostgreSQL compares without regard to case.
  const up = new FakeStack("async", [[400, 300]]);
  up.strangers = ["LIFEBOAT_VAULT_E7", "B"];
  up.synced[0] = [1_000, 1_000];
  await up.change("strict");
  assert.equal(up.stored.record.durability, "strict");
});

test("as long as no commit was seen to wait nothing is promised, and what counts as acknowledged without confirmers goes on growing", async () => {
  const up = new FakeStack("async", [
    [900, 900],
    [1_000, 1_000],
  ]);
  up.commitsWait = false;
  await assert.rejects(up.change("quorum"), (error) => isLifeboatError(error, "durability.not-taken"));
  assert.deepEqual([up.names, up.stored.record.durability, up.synced.length], [NAMES.quorum, "async", 2]);
  up.commitsWait = true;
  await up.change("quorum");
  assert.deepEqual([up.stored.record.durability, up.synced.length], ["quorum", 1]);
  // Where nobody is waited for there is nothing to see.
  up.commitsWait = false;
  await up.change("async");
});

test("confirmers that do not catch up leave the record at what is true, and the change can be made again", async () => {
  const up = new FakeStack("async", [[900, 900]]);
  await assert.rejects(up.change("quorum"), (error) => isLifeboatError(error, "durability.not-taken"));
  assert.deepEqual([up.names, up.stored.record.durability], [NAMES.quorum, "async"]);
  up.synced[0] = [1_000, 900];
  await up.change("quorum");
  assert.equal(up.stored.record.durability, "quorum");
});

test("cut at any effect the record never says more than the primary does, and the same change goes on from there", async () => {
  for (const [from, to] of [
    ["async", "strict"],
    ["strict", "async"],
    ["quorum", "strict"],
    ["strict", "quorum"],
  ] as const) {
    for (let failAt = 1; ; failAt += 1) {
      const stack = new FakeStack(from);
      stack.failAt = failAt;
      const cut = await stack.change(to).then(
        () => false,
        () => true,
      );
      assert.ok(
        requiredConfirmers(stack.stored.record.durability) <= stack.weaker,
        `${from} to ${to}, cut at ${failAt}`,
      );
      stack.failAt = 0;
      await stack.change(to);
      assert.deepEqual([stack.names, stack.stored.record.durability], [NAMES[to], to]);
      if (!cut) break;
      assert.ok(failAt < 10);
    }
  }
});

test("while an action has not ended nothing is changed", async () => {
  const stack = new FakeStack("quorum");
  const action = {
    kind: "failover",
    epoch: 7 as Epoch,
    from: "a",
    to: "b",
    phase: "preparing",
    target: undefined,
  } as const;
  await assert.rejects(stack.change("async", { action }), (error) =>
    isLifeboatError(error, "durability.failover-under-way"),
  );
  assert.deepEqual(stack.effects, []);
});

test("a primary that was seen to do less is believed again when its durability is set again and all is covered, and not before", async () => {
  const stack = new FakeStack("quorum", [[400, 300]]);
  stack.stored = { ...stack.stored, record: { ...stack.stored.record, waitsFor: 0 } };
  await assert.rejects(stack.change("quorum"), (error) => isLifeboatError(error, "durability.not-taken"));
  assert.equal(stack.stored.record.waitsFor, 0);
  stack.synced[0] = [1_000, 300];
  assert.equal((await stack.change("quorum")).record.waitsFor, undefined);
  // On the way down nobody looks whether what came before is covered.
  const down = new FakeStack("strict");
  down.stored = { ...down.stored, record: { ...down.stored.record, waitsFor: 0 } };
  assert.equal((await down.change("quorum")).record.waitsFor, 0);
});

test("a mode is not promised where the server's commits wait for nobody's sync", async () => {
  const up = new FakeStack("async");
  up.synchronousCommit = "local";
  await assert.rejects(up.change("quorum"), (error) => isLifeboatError(error, "durability.not-taken"));
  assert.equal(up.stored.record.durability, "async");
  up.synchronousCommit = "remote_apply";
  await up.change("quorum");
  up.synchronousCommit = "off";
  assert.equal((await up.change("async")).record.durability, "async");
});

test("what somebody changed by hand is set again without a change of the record", async () => {
  const stack = new FakeStack("quorum");
  stack.names = "";
  await stack.change("quorum");
  assert.deepEqual(stack.effects, [`names ${NAMES.quorum}`]);
});
