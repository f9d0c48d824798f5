import assert from "node:assert/strict";
import { test } from "node:test";
import { leaseThat, portsFor } from "../../test/support/failover-ports.ts";
import { POLICY } from "../../test/support/failover-views.ts";
import { Controller } from "./controller.ts";
import { SEQUENCE_LIMITS } from "./limits.ts";

const PACE = { probeMs: 100, intervalMs: 100, claimMs: 100, rejoinAfterMs: 100, rejoinAgainMs: 1_000, retryMs: 100 };

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
