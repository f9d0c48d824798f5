import assert from "node:assert/strict";
import { chmod, mkdir, rm, stat } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/receivers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { exchange } from "../platform/exchange.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import { currentUid } from "../platform/run-as.ts";
import { Mandates } from "../wal/mandates.ts";
import type { OpenReceiver } from "../wal/receiver.ts";
import { openSpool } from "../wal/spool.ts";
import { WitnessClient } from "./client.ts";
import { controlSocket, governBySocket } from "./control.ts";

const TOOLS = { files: systemFiles, locks: systemLocks, clock: systemClock, random: systemRandom };
const CALL = { timeoutMs: 5_000 };

/** A receiver that has received nothing. */
async function openReceiver(folder: string): Promise<OpenReceiver & AsyncDisposable> {
  const spool = await openSpool(TOOLS, folder, {});
  return {
    mandates: await Mandates.open(TOOLS, folder),
    spool,
    vault: await createTestVault(),
    exclusively: (work) => work(),
    report: () => assert.fail("nobody asks for a report"),
    heardAgoMs: () => undefined,
    [Symbol.asyncDispose]: () => spool.close(),
  };
}

test("the socket lies in the spool, and below /tmp in a folder of its own when the spool's path is too long", async () => {
  await using folder = await temporaryFolder("spool");
  assert.equal(controlSocket("/var/spool/lifeboat"), "/var/spool/lifeboat/control.sock");
  const spool = path.join(folder.folder, "x".repeat(100));
  const socket = controlSocket(spool);
  assert.ok(socket.startsWith("/tmp/lifeboat-receiver-"));
  await using receiver = await openReceiver(spool);
  const served = await governBySocket({ files: systemFiles, uid: currentUid() }, spool, receiver);
  assert.equal((await stat(path.dirname(socket))).mode & 0o777, 0o700);
  assert.deepEqual(await new WitnessClient(socket).withdraw(1, CALL), { epoch: 1, held: undefined });
  await served.close();
  await assert.rejects(stat(path.dirname(socket)));
});

test("a folder below /tmp that others can write to is not listened in", async () => {
  await using folder = await temporaryFolder("spool");
  const spool = path.join(folder.folder, "x".repeat(100));
  const shared = path.dirname(controlSocket(spool));
  await using receiver = await openReceiver(spool);
  await mkdir(shared);
  await chmod(shared, 0o777);
  try {
    await assert.rejects(governBySocket({ files: systemFiles, uid: currentUid() }, spool, receiver), (error) =>
      isLifeboatError(error, "wal.spool-shared"),
    );
  } finally {
    await rm(shared, { recursive: true });
  }
});

test("what it does not understand, or may not do now, is answered with a code", async () => {
  await using folder = await temporaryFolder("spool");
  await using receiver = await openReceiver(folder.folder);
  const served = await governBySocket({ files: systemFiles, uid: currentUid() }, folder.folder, receiver);
  const socket = controlSocket(folder.folder);
  try {
    const ask = async (line: string): Promise<string> => {
      const answer = await exchange({ to: { socket }, send: line, whole: (text) => text.endsWith("\n"), ...CALL });
      return JSON.parse(answer).error.code;
    };
    assert.equal(await ask("help\n"), "wal.bad-question");
    const read = { call: "read", epoch: 1, timeline: 1, from: "0/0", to: "0/100" };
    assert.equal(await ask(`${JSON.stringify(read)}\n`), "wal.epoch-stale", "it is receiving, in epoch 0");
    await new WitnessClient(socket).withdraw(1, CALL);
    assert.equal(await ask(`${JSON.stringify(read)}\n`), "wal.segment-missing");
    assert.equal(await ask(`${JSON.stringify({ ...read, to: "0/1000000" })}\n`), "wal.bad-question");
  } finally {
    await served.close();
  }
});
