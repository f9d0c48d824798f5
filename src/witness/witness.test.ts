import assert from "node:assert/strict";
import { test } from "node:test";
import { only } from "../../test/support/failover-ports.ts";
import type { MandateRecord } from "../wal/mandate.ts";
import type { Mandates } from "../wal/mandates.ts";
import type { OpenReceiver } from "../wal/receiver.ts";
import type { Spool } from "../wal/spool.ts";
import { Witness } from "./witness.ts";

test("a withdrawal that is asked for again is answered from memory, until another server was to be followed", async () => {
  let record: Partial<MandateRecord> = { kind: "following", epoch: 1 };
  let written = 0;
  let looked = 0;
  let followed: () => Promise<void> = async () => undefined;
  const mandates = only<Mandates>("mandates", {
    get record() {
      return record as MandateRecord;
    },
    withdraw: async (epoch) => {
      record = { kind: "withdrawn", epoch };
      written += 1;
    },
    follow: () => followed(),
  });
  const witness = new Witness(
    only<OpenReceiver>("receiver", {
      mandates,
      spool: only<Spool>("spool", { state: undefined }),
      exclusively: async (work) => {
        looked += 1;
        return await work();
      },
    }),
  );
  assert.deepEqual(await witness.withdraw(2), { epoch: 2, held: undefined });
  assert.deepEqual(await witness.withdraw(2), { epoch: 2, held: undefined });
  assert.deepEqual([written, looked], [1, 1]);
  // What is on the disk is not known then.
  followed = async () => {
    throw new Error("the disk is full");
  };
  await assert.rejects(witness.follow({ ...TERMS, reign: 2 }));
  await witness.withdraw(2);
  await witness.withdraw(3);
  assert.deepEqual([written, looked], [3, 3]);
});

const TERMS = { upstream: undefined, systemId: undefined, timeline: undefined, switchLsn: undefined };
