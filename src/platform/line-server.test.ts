import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { exchange } from "./exchange.ts";
import { systemFiles } from "./files.ts";
import { type LineServer, serveLines } from "./line-server.ts";

async function served(
  answer: (line: string) => Promise<string>,
): Promise<AsyncDisposable & { readonly socket: string; readonly server: LineServer }> {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-lines-"));
  const socket = path.join(folder, "socket");
  const server = await serveLines(systemFiles, socket, answer);
  return {
    socket,
    server,
    [Symbol.asyncDispose]: async () => {
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function ask(socket: string, send: string): Promise<string> {
  return exchange({ to: { socket }, send, whole: (text) => text.endsWith("\n"), timeoutMs: 5_000 });
}

test("each connection asks one line and is answered one, whatever else it sends", async () => {
  await using at = await served(async (line) => `<${line}>\n`);
  assert.equal(await ask(at.socket, "one\ntwo\n"), "<one>\n");
  assert.equal(await ask(at.socket, "two\n"), "<two>\n");
});

test("only its owner can use the socket", async () => {
  await using at = await served(async () => "\n");
  assert.equal((await stat(at.socket)).mode & 0o777, 0o600);
});

test("a question that never ends is dropped, and others are answered meanwhile", async () => {
  await using at = await served(async (line) => `${line}\n`);
  await assert.rejects(
    new Promise((_, reject) => {
      const connection = net.connect(at.socket);
      connection.on("close", () => reject(new Error("dropped")));
      connection.on("error", () => undefined);
      connection.write("x".repeat(100_000));
    }),
    /dropped/,
  );
  assert.equal(await ask(at.socket, "still there\n"), "still there\n");
});

test("closing drops who has not been answered", async () => {
  await using at = await served(() => new Promise<never>(() => {}));
  const connection = net.connect(at.socket);
  const dropped = new Promise((resolve) => connection.once("close", resolve));
  connection.on("error", () => undefined);
  await new Promise((resolve) => connection.once("connect", resolve));
  connection.write("hello\n");
  await at.server.close();
  await dropped;
});
