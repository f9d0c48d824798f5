import assert from "node:assert/strict";
import { test } from "node:test";
import { allVerbs } from "../../test/support/all-verbs.ts";
import { DURABILITY_NAMES, durabilityFacts } from "../../test/support/durability-facts.ts";
import { matchesGolden } from "../../test/support/golden.ts";
import { type RecordedFrame, recordedFrame } from "../../test/support/recorded-frame.ts";
import { planChange } from "../durability/decide.ts";
import type { DurabilityMode } from "../durability/names.ts";
import { EXIT } from "../errors/entry.ts";
import { LifeboatError } from "../errors/error.ts";
import type { Instant } from "../platform/clock.ts";
import type { DurabilityChange, DurabilityEngine, DurabilityLook } from "./durability.ts";
import { runCli } from "./run.ts";

function lookAt(mode: DurabilityMode, different: Partial<DurabilityLook["server"]> = {}): DurabilityLook {
  const facts = durabilityFacts(mode);
  const confirmers = facts.server.confirmers.map((row) =>
    row.name === "lifeboat_vault" ? { ...row, behindBytes: 16_384 } : row,
  );
  return { ...facts, primary: "db", server: { ...facts.server, confirmers, ...different } };
}

/** A stack that does what it is told, and what it was told. */
function stackAt(look: DurabilityLook, stillWaiting = 0): DurabilityEngine & { readonly done: DurabilityChange[] } {
  const done: DurabilityChange[] = [];
  return {
    done,
    look: async () => look,
    plan: async ({ request }) => ({ facts: look, plan: planChange(look, request) }),
    change: async ({ request, planned }) => {
      done.push(planned);
      const facts = lookAt(request.to);
      const described = { mode: request.to, by: "choice", at: Date.UTC(2026, 0, 1) as Instant } as const;
      return { facts: { ...facts, described }, stillWaiting };
    },
  };
}

async function run(line: string, durability: DurabilityEngine, frame: RecordedFrame = recordedFrame()) {
  const status = await runCli(line.split(" "), allVerbs({ durability }), frame);
  return { status, out: frame.stdout.written(), err: frame.stderr.written() };
}

async function keeps(golden: string, look: DurabilityLook): Promise<number> {
  const { status, out, err } = await run("durability", stackAt(look));
  assert.equal(err, "");
  matchesGolden(`results/${golden}.txt`, out);
  const programs = await run("durability --json", stackAt(look));
  assert.equal(programs.status, status);
  matchesGolden(`results/${golden}.json`, `${JSON.stringify(JSON.parse(programs.out), null, 2)}\n`);
  return status;
}

const nobody = { confirmers: [], waiting: { count: 12, longestMs: 3_200 } };

test("without a mode it says what is described, set and in force, and who confirms, with status 5 when that is wrong", async () => {
  assert.equal(await keeps("durability", lookAt("quorum")), 0);
  assert.equal(await keeps("durability-stuck", lookAt("quorum", nobody)), EXIT.damaged);
});

test("a higher mode is set without a question", async () => {
  const stack = stackAt(lookAt("async"));
  const { status, out } = await run("durability strict", stack);
  assert.equal(status, 0);
  assert.match(out, /^Durability is strict now \(was async\); the server says so\.\n/);
  assert.match(out, /described: +strict, chosen 2026-01-01T00:00:00.000Z/);
  assert.deepEqual(
    stack.done.map(({ names }) => names),
    [DURABILITY_NAMES.strict],
  );
});

test("a mode that is in force already changes nothing", async () => {
  const stack = stackAt(lookAt("quorum"));
  const { status, out } = await run("durability quorum", stack);
  assert.equal(status, 0);
  assert.match(out, /^Durability is quorum already\./);
  assert.deepEqual(stack.done, []);
});

test("a lower mode tells who waits, who is connected and what is lost, and asks for its name to be typed", async () => {
  const stack = stackAt(lookAt("quorum", nobody));
  const asked: { what: string; word: string }[] = [];
  const prompt = {
    secret: async () => "",
    newSecret: async () => "",
    confirm: async (request: { readonly what: string; readonly word: string }) => void asked.push(request),
  };
  assert.equal((await run("durability async", stack, recordedFrame({ prompt: () => prompt }))).status, 0);
  assert.equal(asked.length, 1);
  assert.equal(asked[0]?.word, "async");
  assert.match(asked[0]?.what ?? "", /34 client sessions .* 12 commits waiting now will be acknowledged at once\./);
  assert.match(asked[0]?.what ?? "", /may be on the primary alone, and is lost with it/);
  assert.equal(stack.done.length, 1);
});

test("a lower mode that is not confirmed is not set, at a terminal or without one", async () => {
  const stack = stackAt(lookAt("strict"));
  const without = await run("durability quorum", stack);
  assert.equal(without.status, EXIT.refused);
  assert.match(without.err, /on the primary and one other, no longer on all three/);
  const prompt = {
    secret: async () => "",
    newSecret: async () => "",
    confirm: async () => {
      throw new LifeboatError("config.confirmation-refused", { message: "no", remedy: "No." });
    },
  };
  const refused = await run("durability quorum", stack, recordedFrame({ prompt: () => prompt }));
  assert.equal(refused.status, EXIT.refused);
  assert.deepEqual(stack.done, []);
});

test("with --yes a lower mode is set without a question, and what it means is told all the same", async () => {
  const stack = stackAt(lookAt("strict"), 2);
  const { status, out, err } = await run("durability quorum --yes", stack);
  assert.equal(status, 0);
  assert.match(err, /lowered to quorum, with 34 client sessions connected\. No commit waits now\./);
  assert.match(out, /2 commits still wait\./);
  assert.equal(stack.done.length, 1);
});

test("a higher mode that nobody would confirm is refused with what to bring back, and done when forced", async () => {
  const alone = lookAt("async", { confirmers: lookAt("async").server.confirmers.slice(1) });
  const stack = stackAt(alone);
  const { status, err } = await run("durability strict", stack);
  assert.equal(status, EXIT.refused);
  assert.ok(err.includes("durability.too-few-confirmers"), err);
  assert.match(err, /only lifeboat_vault streams: no write would be acknowledged/);
  assert.match(err, /Bring back db_replica first/);
  assert.deepEqual(stack.done, []);
  await run("durability strict --force", stack);
  assert.equal(stack.done.length, 1);
});

test("a mode that waits is refused where the version may not wait, where a name is there twice, on a replica, and in a failover", async () => {
  const refusals = [
    [lookAt("async", { version: 160_008 }), "durability.version-unsafe"],
    [
      lookAt("async", { confirmers: [...lookAt("async").server.confirmers, ...lookAt("async").server.confirmers] }),
      "durability.name-twice",
    ],
    [lookAt("async", { inRecovery: true }), "durability.not-primary"],
    [{ ...lookAt("async"), withdrawnBy: 8 }, "durability.failover-under-way"],
  ] as const;
  for (const [look, code] of refusals) {
    const { status, err } = await run("durability quorum", stackAt(look));
    assert.equal(status, EXIT.refused);
    assert.ok(err.includes(code), err);
  }
});
