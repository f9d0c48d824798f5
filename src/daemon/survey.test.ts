import assert from "node:assert/strict";
import { test } from "node:test";
import { leapingClock } from "../../test/support/failover-ports.ts";
import { inventory, logicalSlot } from "../../test/support/inventories.ts";
import { LifeboatError } from "../errors/error.ts";
import type { Inventory } from "../failover/costs.ts";
import { abortedError } from "../platform/clock.ts";
import { Survey, type Surveyed, surveyService } from "./survey.ts";

const CDC = logicalSlot();

/** Two nodes whose words can be changed; undefined: it does not answer. */
function surveyOf(words: { a: Inventory | undefined; b: Inventory | undefined }) {
  const clock = leapingClock();
  let asked = 0;
  const ask = (name: "a" | "b") => async (): Promise<Inventory> => {
    asked += 1;
    const word = words[name];
    if (word !== undefined) return word;
    throw new LifeboatError("postgres.connection-lost", { message: `${name} is away`, remedy: "None." });
  };
  const asks = [
    { name: "a", ask: ask("a") },
    { name: "b", ask: ask("b") },
  ];
  const survey = new Survey(clock, asks, (message) => assert.fail(message));
  return { survey, clock, asked: () => asked };
}

function codes(survey: Survey, primary = "a", candidate = "b"): readonly string[] {
  return survey.costs({ primary, candidate }).found.map(({ code, of }) => `${code} ${of}`);
}

test("of a primary that is gone is known what it said before, and how long ago", async () => {
  const words = { a: inventory({ slots: [CDC] }) as Inventory | undefined, b: inventory({ isStandby: true }) };
  const { survey, clock } = surveyOf(words);
  assert.deepEqual(codes(survey), ["not-known a", "not-known b"]);
  assert.equal(survey.costs({ primary: "a", candidate: "b" }).seenAgoMs, undefined);
  await survey.refresh({});
  words.a = undefined;
  await clock.sleep(5_000, {});
  await survey.refresh({});
  assert.deepEqual(codes(survey), ["slot-missing cdc"]);
  assert.equal(survey.costs({ primary: "a", candidate: "b" }).seenAgoMs, 5_000);
});

test("of a node that never told is said why it did not when it was asked last", async () => {
  const { survey } = surveyOf({ a: undefined, b: inventory({ isStandby: true }) });
  await survey.refresh({});
  const { found } = survey.costs({ primary: "a", candidate: "b" });
  assert.match(found[0]?.says ?? "", /^a never told .* \(a is away\)$/);
});

test("an old primary that is a standby by now has the slots that it had as the primary: its word as a standby is another", async () => {
  const words = { a: inventory({ slots: [CDC] }), b: inventory({ isStandby: true }) };
  const { survey, clock } = surveyOf(words);
  await survey.refresh({});
  await clock.sleep(5_000, {});
  words.a = inventory({ isStandby: true });
  words.b = inventory();
  await survey.refresh({});
  assert.deepEqual(codes(survey), ["slot-missing cdc"]);
  assert.deepEqual(codes(survey, "b", "a"), []);
});

test("who told a moment ago is not asked again, and who stops is told so", async () => {
  const { survey, clock, asked } = surveyOf({ a: inventory(), b: inventory() });
  await survey.refresh({});
  await survey.refresh({});
  assert.equal(asked(), 2);
  await clock.sleep(1_000, {});
  await survey.refresh({});
  assert.equal(asked(), 4);
  await assert.rejects(survey.refresh({ signal: AbortSignal.abort() }), /slots and collations/);
});

test("a survey is made every ten seconds; what nobody expected ends nothing, and is told again only when it changes", async () => {
  const stop = Promise.withResolvers<void>();
  const told: string[] = [];
  const asked: number[] = [];
  const clock = leapingClock();
  const failures = [undefined, "a bug", "a bug", "another", undefined, "another"];
  const ask = async (): Promise<Inventory> => {
    asked.push(clock.monotonic());
    const failure = failures[asked.length - 1];
    if (asked.length === failures.length + 1) stop.resolve();
    if (failure !== undefined) throw new TypeError(failure);
    return inventory();
  };
  const survey = new Survey(clock, [{ name: "a", ask }], (message) => told.push(message));
  const service = surveyService(clock, survey, () => assert.fail("it ended"));
  await service.start({});
  await stop.promise;
  await service.stop();
  assert.deepEqual(asked.slice(0, 3), [0, 10_000, 20_000]);
  const of = "what a tells of slots and collations: ";
  assert.deepEqual(told, [`${of}a bug`, `${of}another`, `${of}another`]);
});

test("a stop while nodes are asked ends the survey without a word", async () => {
  const asked = Promise.withResolvers<void>();
  const ask: Surveyed["ask"] = ({ signal }) =>
    new Promise((_resolve, reject) => {
      asked.resolve();
      signal?.addEventListener("abort", () => reject(abortedError("asking a", signal.reason)));
    });
  const told: unknown[] = [];
  const survey = new Survey(leapingClock(), [{ name: "a", ask }], (message) => told.push(message));
  const service = surveyService(leapingClock(), survey, (_service, error) => told.push(error));
  await service.start({});
  await asked.promise;
  await service.stop();
  assert.deepEqual(told, []);
});
