import assert from "node:assert/strict";
import { test } from "node:test";
import { withListener } from "../../test/support/listener.ts";
import { isLifeboatError } from "../errors/error.ts";
import { pingCache } from "./ask.ts";
import { renderRedis } from "./redis.ts";

const request = { port: 6379, password: "secret", memoryMaxBytes: 1024, policy: "noeviction" };

test("a folder with spaces and quotes is one argument", () => {
  const text = renderRedis({ ...request, dataFolder: '/srv/a "b"\\c' });
  assert.match(text, /^dir "\/srv\/a \\"b\\"\\\\c"$/m);
  assert.match(renderRedis({ ...request, dataFolder: "/srv/a" }), /^dir \/srv\/a$/m);
});

test("redis that lets us in and answers is up", async () => {
  let said = "";
  await withListener(
    (socket) =>
      socket.on("data", (bytes) => {
        said += bytes.toString();
        socket.write("+OK\r\n+PONG\r\n");
      }),
    async (port) => await pingCache({ port, password: "pä" }, {}),
  );
  assert.equal(said, "*2\r\n$4\r\nAUTH\r\n$3\r\npä\r\n*1\r\n$4\r\nPING\r\n");
});

test("a refusal is told in redis' own words, and tried again only while it loads its data", async () => {
  for (const [login, ping, retryable] of [
    ["-WRONGPASS invalid username-password pair", "-NOAUTH Authentication required.", false],
    ["+OK", "-LOADING Redis is loading the dataset in memory", true],
  ] as const) {
    await withListener(
      (socket) => socket.on("data", () => socket.write(`${login}\r\n${ping}\r\n`)),
      async (port) => {
        await assert.rejects(pingCache({ port, password: "x" }, {}), (error) => {
          assert(isLifeboatError(error, "cache.refused"));
          assert.equal(error.retryable, retryable);
          assert.match(error.message, login.startsWith("-") ? /WRONGPASS/ : /LOADING/);
          return true;
        });
      },
    );
  }
});
