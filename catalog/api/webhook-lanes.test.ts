import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { WebhookLanes } from "./webhook-lanes.ts";

test("calls that take long leave the places of quick ones, and take no more than their own", async () => {
  const clock = new ManualClock();
  const lanes = new WebhookLanes(clock);
  const calls = Array.from({ length: 24 }, (_, each) => lanes.begin(`hangs-${each % 6}`));
  assert.deepEqual([lanes.room().quickPlaces, lanes.room().slowPlaces, lanes.room().busy.get("hangs-0")], [0, 8, 4]);
  await clock.advance(1_000);
  assert.deepEqual([lanes.room().quickPlaces, lanes.room().slowPlaces, lanes.room().slow.length], [24, 0, 6]);
  for (const call of calls) lanes.end(call);
  assert.deepEqual([lanes.room().quickPlaces, lanes.room().slowPlaces, lanes.room().slow.length], [24, 8, 6]);
  // What was slow is slow when it is called again, and after a while may show that it is quick.
  lanes.begin("hangs-0");
  assert.deepEqual([lanes.room().quickPlaces, lanes.room().slowPlaces], [24, 7]);
  await clock.advance(600_000);
  assert.deepEqual(lanes.room().slow, ["hangs-0"]);
});

test("no more calls are in hand than 64, however many turn out slow", async () => {
  const clock = new ManualClock();
  const lanes = new WebhookLanes(clock);
  for (let second = 0; second < 10; second++) {
    for (let each = lanes.room().quickPlaces; each > 0; each--) lanes.begin(`${second}.${each}`);
    await clock.advance(1_000);
  }
  const { busy, quickPlaces, slowPlaces } = lanes.room();
  assert.deepEqual([busy.size, quickPlaces, slowPlaces], [64, 0, 0]);
});
