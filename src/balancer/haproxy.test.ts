import assert from "node:assert/strict";
import { test } from "node:test";
import { withListener } from "../../test/support/listener.ts";
import { isLifeboatError } from "../errors/error.ts";
import { askBalancerHealth } from "./ask.ts";
import { renderHaproxy } from "./haproxy.ts";

const request = {
  frontPort: 8000,
  readPort: 5434,
  api: [],
  pages: [],
  readers: [{ name: "db_replica", host: "127.0.0.1", port: 5433 }],
  checkRole: "nobody",
  statsSocket: "/srv/run/haproxy.sock",
};

test("with no instance of the API there is still a front, and a socket's path with spaces is one word", () => {
  const text = renderHaproxy({ ...request, statsSocket: '/srv/a "b"/haproxy.sock' });
  assert.match(text, /^ {4}stats socket "\/srv\/a \\"b\\"\/haproxy\.sock" mode 600/m);
  assert.match(text, /^ {4}bind 127\.0\.0\.1:8000$/m);
  assert.doesNotMatch(text, /server api/);
});

test("a program that serves no clients is found by its name, before the API is", () => {
  const text = renderHaproxy({ ...request, pages: [{ name: "reader", socket: "/srv/run/reader.sock" }] });
  const front = text.slice(text.indexOf("frontend front"), text.indexOf("\nbackend reader"));
  assert.match(front, / use_backend reader if \{ path_beg \/instances\/reader\/ \}\n {4}default_backend api\n/);
  const pages = text.slice(text.indexOf("\nbackend reader"), text.indexOf("\nbackend api"));
  assert.match(
    pages,
    /replace-path \^\/instances\/\[\^\/\]\+\/\(health\.\*\|metrics\)\$ \/\\1\n {4}server reader "unix@\/srv\/run\/reader\.sock"\n/,
  );
});

test("clients of the front leave places to those of the read port", () => {
  const [whole, front, ...others] = [...renderHaproxy(request).matchAll(/^ {4}maxconn (\d+)$/gm)].map(([, max]) =>
    Number(max),
  );
  assert.ok(whole !== undefined && front !== undefined && others.length === 0);
  assert.ok(whole - front >= 500, `${front} of ${whole}`);
});

test("what answers on the front's port and is no balancer is told", async () => {
  const answering = (status: string) => (port: { readonly text?: string }, use: (port: number) => Promise<void>) =>
    withListener((socket) => socket.on("data", () => socket.end(`HTTP/1.1 ${status}\r\n\r\n${port.text ?? ""}`)), use);
  await answering("200 OK")({ text: "ok" }, async (port) => await askBalancerHealth(port, {}));
  await answering("404 Not Found")({}, async (port) => {
    await assert.rejects(askBalancerHealth(port, {}), (error) => {
      assert(isLifeboatError(error, "balancer.refused"));
      assert.match(error.message, /answers "HTTP\/1\.1 404 Not Found" for \/balancer\/health/);
      return true;
    });
  });
});
