import assert from "node:assert/strict";
import { test } from "node:test";
import { withListener } from "../../test/support/listener.ts";
import { isLifeboatError } from "../errors/error.ts";
import { exchange } from "./exchange.ts";

const ask = (port: number, different: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {}) =>
  exchange({
    to: { host: "127.0.0.1", port },
    send: "who?\n",
    whole: (text) => text.endsWith("\n"),
    timeoutMs: 5_000,
    ...different,
  });

test("an answer is whole when it says so, or when the other side ends", async () => {
  await withListener(
    (socket) => socket.on("data", () => socket.write("I", () => socket.write(" am\n"))),
    async (port) => assert.equal(await ask(port), "I am\n"),
  );
  await withListener(
    (socket) => socket.on("data", () => socket.end("half")),
    async (port) => assert.equal(await ask(port), "half"),
  );
});

test("silence, nobody listening, and too much are no answer", async () => {
  const noAnswer = (error: unknown) => isLifeboatError(error, "platform.no-answer");
  let closed = 0;
  await withListener(
    () => undefined,
    async (port) => {
      closed = port;
      await assert.rejects(ask(port, { timeoutMs: 20 }), noAnswer);
    },
  );
  await assert.rejects(ask(closed), noAnswer);
  await withListener(
    (socket) => socket.write("x".repeat(2 * 1024 * 1024)),
    async (port) => await assert.rejects(ask(port), noAnswer),
  );
});

test("an abort ends the wait", async () => {
  await withListener(
    () => undefined,
    async (port) => {
      const stopping = new AbortController();
      const asked = ask(port, { signal: stopping.signal });
      stopping.abort();
      await assert.rejects(asked, (error) => isLifeboatError(error, "platform.aborted"));
    },
  );
});
