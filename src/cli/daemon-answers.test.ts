import assert from "node:assert/strict";
import { test } from "node:test";
import { recordedControlOf } from "../../test/support/controls.ts";
import { leaseThat, only, portsFor } from "../../test/support/failover-ports.ts";
import { primaryAnswer, standbyAnswer, witnessAnswer } from "../../test/support/failover-views.ts";
import { recordPort } from "../daemon/authority.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { NodePort, WitnessPort } from "../failover/ports.ts";
import { memoryRegister } from "../lease/memory/memory-register.ts";
import { answererOf } from "./daemon-answers.ts";

const PAUSE = { call: "pause", reason: "disks" } as const;

/** A daemon that is asked. `onClaim`, `onWrite`: what happens meanwhile. */
async function asked() {
  const record = recordPort(memoryRegister(), "the record");
  const meanwhile = { claims: 0, onClaim: async () => undefined as unknown, onWrite: () => undefined as unknown };
  const ports = portsFor({
    record: {
      ...record,
      write: async (order, options) => {
        meanwhile.onWrite();
        return await record.write(order, options);
      },
    },
    nodes: [
      only<NodePort>("a", { name: "a", probe: async () => primaryAnswer() }),
      only<NodePort>("b", { name: "b", probe: async () => standbyAnswer() }),
    ],
    witness: only<WitnessPort>("witness", { status: async () => witnessAnswer() }),
    lease: {
      durationMs: 1_000,
      claim: async () => {
        meanwhile.claims += 1;
        await meanwhile.onClaim();
        return { kind: "holder", lease: leaseThat(true) };
      },
    },
  });
  const answer = answererOf(await recordedControlOf(ports, []));
  const pause = (signal: AbortSignal) => answer(PAUSE, { signal, tell: () => undefined });
  const isPaused = async () => (await record.read({ timeoutMs: 100 }))?.record.maintenance;
  return { answer, pause, isPaused, meanwhile };
}

const isAborted = (error: unknown): boolean => isLifeboatError(error, "platform.aborted");

test("what was asked is not begun when who asked has gone before its turn came", async () => {
  const { answer, pause, isPaused, meanwhile } = await asked();
  const first = Promise.withResolvers<void>();
  meanwhile.onClaim = () => first.promise;
  const resumed = answer({ call: "resume" }, { signal: new AbortController().signal, tell: () => undefined });
  const leaving = new AbortController();
  const paused = assert.rejects(pause(leaving.signal), isAborted);
  leaving.abort();
  first.resolve();
  await Promise.all([resumed, paused]);
  assert.deepEqual([meanwhile.claims, await isPaused()], [1, false]);
});

test("what was asked is not begun when who asked has gone while the right to act was claimed", async () => {
  const { pause, isPaused, meanwhile } = await asked();
  const leaving = new AbortController();
  meanwhile.onClaim = async () => leaving.abort();
  await assert.rejects(pause(leaving.signal), isAborted);
  assert.deepEqual([meanwhile.claims, await isPaused()], [1, false]);
});

test("what has begun goes on when who asked goes", async () => {
  const { pause, isPaused, meanwhile } = await asked();
  const leaving = new AbortController();
  meanwhile.onWrite = () => leaving.abort();
  await pause(leaving.signal);
  assert.equal(await isPaused(), true);
});
