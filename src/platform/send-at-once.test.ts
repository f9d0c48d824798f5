import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import tls from "node:tls";
import { sendAtOnce } from "./send-at-once.ts";

const HELLO = Buffer.from("hello");

/** Two sockets that are connected; gone afterwards. */
async function withPair(body: (near: net.Socket, far: net.Socket) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "send-"));
  const server = net.createServer();
  const accepted = new Promise<net.Socket>((resolve) => server.once("connection", resolve));
  await new Promise<void>((resolve) => server.listen(path.join(folder, "socket"), resolve));
  const near = net.connect(path.join(folder, "socket"));
  const far = await accepted;
  try {
    await body(near, far);
  } finally {
    near.destroy();
    far.destroy();
    server.close();
    await rm(folder, { recursive: true });
  }
}

test("bytes sent at once arrive before the call's next turn of the loop could have sent them", async () => {
  await withPair(async (near, far) => {
    const arrived = new Promise((resolve) => far.once("data", resolve));
    assert.equal(sendAtOnce(near, HELLO), HELLO.byteLength);
    assert.equal(near.bytesWritten, 0, "not by way of the queue");
    assert.deepEqual(await arrived, HELLO);
  });
});

test("nothing overtakes what waits in the queue", async () => {
  await withPair(async (near, far) => {
    far.pause();
    const much = Buffer.alloc(1024 * 1024, "x");
    while (near.write(much));
    assert.ok(near.writableLength > 0);
    assert.equal(sendAtOnce(near, HELLO), 0);
  });
});

test("a socket that is gone, and one that is encrypted, take nothing", async () => {
  await withPair(async (near, far) => {
    const encrypted = new tls.TLSSocket(far, { isServer: true });
    assert.equal(sendAtOnce(encrypted, HELLO), 0);
    encrypted.destroy();
    near.destroy();
    assert.equal(sendAtOnce(near, HELLO), 0);
  });
});
