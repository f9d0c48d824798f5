import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { test } from "node:test";
import { eventually, temporaryFolder } from "../../test/support/receivers.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { askDaemon, askLivingDaemon } from "./ask.ts";
import type { DaemonRequest } from "./protocol.ts";
import { type Answerer, socketServer } from "./socket-server.ts";

const HELLO: DaemonRequest = { call: "hello" };

async function withServer(answerer: Answerer, body: (socket: string) => Promise<void>): Promise<void> {
  await using temporary = await temporaryFolder("daemon");
  const socket = path.join(temporary.folder, "daemon.sock");
  const server = socketServer(systemFiles, socket, answerer);
  await server.stop();
  await server.start({});
  await server.start({});
  try {
    await body(socket);
  } finally {
    await server.stop();
    await server.stop();
  }
  assert.equal(await systemFiles.stat(socket), undefined);
}

test("a question is answered in parts and then whole, or by the failure with its code and details", async () => {
  const answerer: Answerer = async (request, { tell }) => {
    if (request.call !== "hello") {
      const details = { count: 3 };
      throw new LifeboatError("lease.lost", { message: "it was lost", remedy: "Look again.", details });
    }
    tell({ step: 1 });
    tell({ step: 2 });
    return { pid: 7 };
  };
  await withServer(answerer, async (socket) => {
    const parts: unknown[] = [];
    const answer = await askDaemon(socket, HELLO, { silentMs: 5_000, onPart: (part) => parts.push(part) });
    assert.deepEqual([answer, parts], [{ result: { pid: 7 } }, [{ step: 1 }, { step: 2 }]]);
    await assert.rejects(askDaemon(socket, { call: "resume" }, { silentMs: 5_000 }), (error) => {
      assert.ok(isLifeboatError(error, "lease.lost"));
      assert.deepEqual(error.details, { count: 3 });
      return true;
    });
  });
});

test("a failure that has no code is told as one of the daemon", async () => {
  await withServer(
    () => Promise.reject(new Error("something broke")),
    async (socket) => {
      await assert.rejects(askDaemon(socket, HELLO, { silentMs: 5_000 }), (error) => {
        assert.ok(isLifeboatError(error, "daemon.failed"));
        return error.message === "something broke";
      });
    },
  );
});

test("nobody listening is told apart from a daemon that is silent or ends in between", async () => {
  await using temporary = await temporaryFolder("daemon");
  const socket = path.join(temporary.folder, "daemon.sock");
  assert.equal(await askDaemon(socket, HELLO, { silentMs: 5_000 }), undefined);
  const deaf = net.createServer((connection) => connection.resume());
  await new Promise<void>((resolve) => deaf.listen(socket, resolve));
  await assert.rejects(askDaemon(socket, HELLO, { silentMs: 50 }), isNoAnswer);
  deaf.close();
  const hasty = net.createServer((connection) => connection.destroy());
  await systemFiles.remove(socket);
  await new Promise<void>((resolve) => hasty.listen(socket, resolve));
  await assert.rejects(askDaemon(socket, HELLO, { silentMs: 5_000 }), isNoAnswer);
  hasty.close();
});

test("one that hangs is told before it is given work that may take long, and one that lives does the work", async () => {
  await using temporary = await temporaryFolder("daemon");
  const socket = path.join(temporary.folder, "daemon.sock");
  const options = { silentMs: undefined, aliveMs: 50 };
  const work = { call: "rebuild", node: "db" } as const;
  assert.equal(await askLivingDaemon(socket, work, options), undefined);
  const hangs = net.createServer((connection) => connection.resume());
  await new Promise<void>((resolve) => hangs.listen(socket, resolve));
  await assert.rejects(askLivingDaemon(socket, work, options), isNoAnswer);
  hangs.close();
  await systemFiles.remove(socket);
  const server = socketServer(systemFiles, socket, async ({ call }) => call);
  await server.start({});
  assert.deepEqual(await askLivingDaemon(socket, work, { silentMs: 5_000 }), { result: "rebuild" });
  await server.stop();
});

test("a socket that a killed daemon left is taken over", async () => {
  await using temporary = await temporaryFolder("daemon");
  const socket = path.join(temporary.folder, "daemon.sock");
  await writeFile(socket, "");
  const server = socketServer(systemFiles, socket, async () => 1);
  await server.start({});
  assert.deepEqual(await askDaemon(socket, HELLO, { silentMs: 5_000 }), { result: 1 });
  await server.stop();
});

test("an answer that goes on ends with who asked, and with the daemon", async () => {
  let open = 0;
  const answerer: Answerer = async (_request, { signal, tell }) => {
    open += 1;
    tell("here");
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    open -= 1;
    return undefined;
  };
  await withServer(answerer, async (socket) => {
    const leaving = new AbortController();
    const asked = askDaemon(socket, HELLO, { silentMs: 60_000, signal: leaving.signal, onPart: () => leaving.abort() });
    await assert.rejects(asked, (error) => isLifeboatError(error, "platform.aborted"));
    await eventually("the daemon has noticed", async () => open === 0);
    const staying = askDaemon(socket, HELLO, { silentMs: undefined }).catch((error: unknown) => error);
    await eventually("it is being answered", async () => open === 1);
    // The end of withServer stops the daemon.
    void staying;
  });
  assert.equal(open, 0);
});

test("what is no question is refused, and an endless one is cut off", async () => {
  await withServer(
    async () => 1,
    async (socket) => {
      for (const [line, code] of [
        ["what?\n", "daemon.request-unknown"],
        ['{"call":"hello","more":1}\n', "daemon.request-unknown"],
      ]) {
        const answer = await raw(socket, line ?? "");
        assert.ok(answer.includes(`"code":"${code}"`), answer);
      }
      assert.equal(await raw(socket, "x".repeat(300_000)), "");
    },
  );
});

function raw(socket: string, send: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const connection = net.connect(socket);
    connection.on("error", () => undefined);
    connection.on("data", (data) => {
      answer += data.toString("utf8");
    });
    connection.on("close", () => resolve(answer));
    connection.write(send);
  });
}

function isNoAnswer(error: unknown): boolean {
  return isLifeboatError(error, "daemon.no-answer");
}
