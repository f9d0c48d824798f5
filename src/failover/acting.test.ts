import assert from "node:assert/strict";
import { test } from "node:test";
import { leaseThat, portsFor } from "../../test/support/failover-ports.ts";
import { isLifeboatError } from "../errors/error.ts";
import { Acting } from "./acting.ts";
import type { Epoch } from "./ports.ts";

test("an order does not leave once the lease does not hold for as long as it may take", async () => {
  let sent = 0;
  const acting = new Acting(portsFor({}), leaseThat(false), undefined);
  const order = acting.order(100, async () => {
    sent += 1;
  });
  await assert.rejects(order, (error) => isLifeboatError(error, "failover.lease-lost"));
  assert.equal(sent, 0);
});

test("an order carries the epoch, and one that is refused says who acts", async () => {
  const acting = new Acting(portsFor({}), leaseThat(true), undefined);
  assert.equal(await acting.order(100, async (epoch) => epoch), 8);
  const refused = acting.order(100, async () => ({ kind: "stale-epoch", seen: 9 as Epoch }) as const);
  await assert.rejects(
    refused,
    (error) => isLifeboatError(error, "failover.stale-epoch") && error.details["seen"] === 9,
  );
});

test("a journal that cannot be written is told and stops nothing", async () => {
  const journal = {
    append: async () => {
      throw new Error("disk full");
    },
  };
  const ports = portsFor({ journal });
  await new Acting(ports, leaseThat(true), undefined).note({ kind: "note", name: "fence", facts: {} });
  assert.deepEqual(ports.told, ["journal-failed"]);
});
