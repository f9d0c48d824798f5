import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { withListener } from "../../test/support/listener.ts";
import { guardedSocket } from "./guarded-socket.ts";

test("a listener that throws at what came breaks its own connection, with what it threw", async () => {
  await withListener(
    (socket) => socket.write("nonsense"),
    async (port) => {
      for (const thrown of [new RangeError("no such message"), "a word"]) {
        const socket = guardedSocket((what) => new Error("the server cannot be understood", { cause: what }));
        socket.on("data", () => {
          throw thrown;
        });
        const failed = once(socket, "error");
        socket.connect(port, "127.0.0.1");
        const [error] = await failed;
        assert.equal(error.cause, thrown);
        assert.ok(socket.destroyed);
      }
    },
  );
});

test("what is understood passes, and so does the end", async () => {
  await withListener(
    (socket) => socket.end("sense"),
    async (port) => {
      const socket = guardedSocket();
      const heard: string[] = [];
      socket.on("data", (bytes) => heard.push(String(bytes)));
      socket.connect(port, "127.0.0.1");
      await once(socket, "close");
      assert.deepEqual(heard, ["sense"]);
    },
  );
});
