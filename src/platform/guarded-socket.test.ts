import assert from "node:assert/strict";
import { once } from "node:events";
import { Socket } from "node:net";
import { test } from "node:test";
import { withListener } from "../../test/support/listener.ts";
import { guarded, guardedSocket } from "./guarded-socket.ts";

function message(type: string, body: string): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, Buffer.from(body, "latin1")]);
}

const REPORT = "SERROR\0Mno such table\0\0";
const WELL = Buffer.concat([
  message("N", REPORT),
  message("1", ""),
  message("D", "a row"),
  message("E", `${REPORT}more`),
]);

test("a listener that throws at what came breaks its own connection, with what it threw", async () => {
  await withListener(
    (socket) => socket.write(message("Z", "I")),
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
    (socket) => socket.end(WELL),
    async (port) => {
      const socket = guardedSocket();
      const heard: string[] = [];
      socket.on("data", (bytes) => heard.push(bytes.toString("latin1")));
      socket.connect(port, "127.0.0.1");
      await once(socket, "close");
      assert.equal(heard.join(""), WELL.toString("latin1"));
    },
  );
});

test("a message that node-postgres would read for ever, or keep all memory for, does not reach it, however it comes in pieces", () => {
  const ill: readonly (readonly [string, Buffer])[] = [
    ["a report without its last zero", message("E", REPORT.slice(0, -1))],
    ["a report that ends in a text", message("N", "SERROR\0Mno such")],
    ["an empty report", message("E", "")],
    ["a length of less than itself", Buffer.from("440000000300", "hex")],
    ["a length that no server sends", Buffer.from("447fffffff00", "hex")],
  ];
  for (const [what, bytes] of ill) {
    for (let piece = 1; piece <= 9; piece += 1) {
      const socket = guarded(new Socket());
      let heard = 0;
      socket
        .on("error", () => undefined)
        .on("data", ({ length }: Buffer) => {
          heard += length;
        });
      const all = Buffer.concat([WELL, bytes]);
      for (let at = 0; at < all.length && !socket.destroyed; at += piece) {
        socket.emit("data", all.subarray(at, at + piece));
      }
      assert.ok(socket.destroyed, what);
      assert.ok(heard >= WELL.length - 9 && heard < all.length, what);
    }
  }
});
