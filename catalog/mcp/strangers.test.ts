import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import type { ApiClient } from "./api-client.ts";
import { Strangers } from "./strangers.ts";

test("who shows no key asks sixty times a minute, counted by address; who shows one is the API's to count", async () => {
  const clock = new ManualClock();
  let reached = 0;
  const answer = async (): Promise<object> => {
    reached += 1;
    return {};
  };
  const api: ApiClient = { get: answer, ask: answer, write: answer };
  const strangers = new Strangers(clock);
  const one = strangers.within(api, "192.0.2.1");
  for (let each = 0; each < 30; each++) {
    await one.get("/", {}, { key: undefined });
    await one.ask("/", {}, { key: undefined });
  }
  await clock.advance(15_000);
  await assert.rejects(one.get("/", {}, { key: undefined }), {
    code: "RATE_LIMIT_EXCEEDED",
    status: 429,
    retryAfterS: 45,
  });
  assert.deepEqual([reached, strangers.refused], [60, 1]);
  await strangers.within(api, "192.0.2.2").get("/", {}, { key: undefined });
  await one.get("/", {}, { key: "Bearer k" });
  await one.write("/", {}, { key: "Bearer k" });
  await clock.advance(45_000);
  await one.get("/", {}, { key: undefined });
  assert.equal(reached, 64);
});
