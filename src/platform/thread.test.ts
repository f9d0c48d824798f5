import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { Thread } from "./thread.ts";

/** Adds what it was given at its start to each number; ends on a zero. */
const ADDER = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort, workerData } from "node:worker_threads";
    parentPort.on("message", (number) => {
      if (number === 0) throw new Error("a zero");
      parentPort.postMessage(number + workerData);
    });`)}`,
);

describe("a thread", () => {
  test("answers each message in turn with what it was given at its start", async () => {
    const thread = new Thread<number, number>(ADDER, 100);
    assert.deepEqual(await Promise.all([1, 2, 3].map((each) => thread.ask(each))), [101, 102, 103]);
    assert.equal(await thread.ask(4), 104);
    await thread.stop();
  });

  test("that fails gives its error to all that wait, and to whoever asks later", async () => {
    const thread = new Thread<number, number>(ADDER, 100);
    // An answer that is on its way when the thread fails may be overtaken by that.
    assert.equal(await thread.ask(1), 101);
    const ended = await Promise.allSettled([0, 2].map((each) => thread.ask(each)));
    assert.deepEqual(
      ended.map(({ status }) => status),
      ["rejected", "rejected"],
    );
    await assert.rejects(thread.ask(5), /a zero/);
    await thread.stop();
  });

  test("that is stopped answers nobody any more, and may be stopped again", async () => {
    const thread = new Thread<number, number>(ADDER, 100);
    const waiting = thread.ask(1);
    const rejected = assert.rejects(waiting, /ended with status/);
    await thread.stop();
    await rejected;
    await thread.stop();
    await assert.rejects(thread.ask(1), /ended with status/);
  });

  test("that is stopped when an answer is on its way keeps the process until it has ended", async () => {
    const code = `
      import { Thread } from ${JSON.stringify(new URL("./thread.ts", import.meta.url).href)};
      const thread = new Thread(new URL(${JSON.stringify(ADDER.href)}), 100);
      await thread.ask(1);
      thread.ask(2).catch(() => undefined);
      // The answer is there, and nobody has looked for it yet.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
      await thread.stop();
      console.log("stopped");`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    assert.equal(await text(child.stdout), "stopped\n");
  });
});
