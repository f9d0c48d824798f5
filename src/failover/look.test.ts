import assert from "node:assert/strict";
import { test } from "node:test";
import { leapingClock, only } from "../../test/support/failover-ports.ts";
import { standbyAnswer, witnessAnswer } from "../../test/support/failover-views.ts";
import { Lookout } from "./look.ts";
import type { Call, NodePort, PoolerPort, WitnessPort } from "./ports.ts";

test("a pooler that was asked by a look that was ended is asked again by the next one", async () => {
  const asked: Call[] = [];
  const lookout = new Lookout({
    clock: leapingClock(),
    nodes: [only<NodePort>("b", { name: "b", probe: async () => standbyAnswer() })],
    witness: only<WitnessPort>("witness", { status: async () => witnessAnswer() }),
    poolers: [
      only<PoolerPort>("pooler", {
        name: "pooler",
        view: async (call) => {
          asked.push(call);
          if (asked.length === 1)
            await new Promise((_resolve, reject) => call.signal?.addEventListener("abort", reject));
          return { epoch: 7, mode: "serving", target: "a" };
        },
      }),
    ],
  });
  const stop = new AbortController();
  const first = assert.rejects(lookout.round("b", { timeoutMs: 100, signal: stop.signal }));
  stop.abort();
  const { poolers } = await lookout.round("b", { timeoutMs: 100 });
  await first;
  assert.deepEqual([asked.length, poolers[0]?.view?.mode], [2, "serving"]);
});
