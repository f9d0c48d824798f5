import assert from "node:assert/strict";
import { createServer, type RequestListener, type Server } from "node:http";
import { after, before, test } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { isLifeboatError } from "../../../src/errors/error.ts";
import { systemClock } from "../../../src/platform/clock.ts";
import { memoryFiles } from "../../../src/platform/memory-files.ts";
import type { Network } from "../../../src/platform/public-address.ts";
import { expanded, type FetchedFeed, type Validators } from "./fetched.ts";
import { fetchFile } from "./file-feed.ts";
import { fetchHttp, type HttpFeed } from "./http-feed.ts";

const TEXT = "id,title\n1,Kettle\n";
let answer: RequestListener = () => undefined;
let server: Server;
let base = "";

before(async () => {
  server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  const address = server.address();
  base = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
});

after(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function textOf(feed: FetchedFeed): Promise<string> {
  if (feed.kind === "unchanged") return "unchanged";
  let text = "";
  for await (const chunk of feed.chunks) text += Buffer.from(chunk).toString();
  return text;
}

async function get(path: string, more: Partial<Omit<HttpFeed, "location">> = {}) {
  return fetchHttp(systemClock, { known: {}, ...more, location: path.includes(":") ? path : base + path });
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (!isLifeboatError(error)) throw new Error("no error of ours", { cause: error });
  return error.code;
}

test("HTTP: a feed that has not changed is not sent again", async () => {
  const asked: unknown[] = [];
  answer = (request, response) => {
    asked.push(request.headers["if-none-match"], request.headers["if-modified-since"]);
    if (request.headers["if-none-match"] === '"7"') response.writeHead(304).end();
    else response.writeHead(200, { etag: '"7"', "last-modified": "Sat, 18 Apr 2026 09:30:00 GMT" }).end(TEXT);
  };
  const first = await get("/feed");
  assert.ok(first.kind === "changed");
  assert.equal(await textOf(first), TEXT);
  assert.equal(await textOf(await get("/feed", { known: first.validators })), "unchanged");
  assert.deepEqual(asked, [undefined, undefined, '"7"', "Sat, 18 Apr 2026 09:30:00 GMT"]);
});

test("HTTP: compressed by the server or as a file, it is the same feed", async () => {
  const bodies = new Map([
    ["/gzip", ["gzip", gzipSync(TEXT)]],
    ["/br", ["br", brotliCompressSync(TEXT)]],
    ["/feed.csv.gz", ["", gzipSync(TEXT)]],
  ] as const);
  answer = (request, response) => {
    const [encoding, bytes] = bodies.get(request.url as "/gzip") ?? ["", Buffer.alloc(0)];
    response.writeHead(200, encoding === "" ? {} : { "content-encoding": encoding }).end(bytes);
  };
  for (const path of bodies.keys()) assert.equal(await textOf(await get(path)), TEXT, path);
});

test("HTTP: redirects are followed to http addresses, a few times", async () => {
  answer = (request, response) => {
    const left = Number(request.url?.slice(1));
    if (request.url === "/elsewhere") response.writeHead(302, { location: "file:///etc/passwd" }).end();
    else if (request.url?.startsWith("/to/") === true)
      response.writeHead(302, { location: `http://${request.url.slice(4)}:${request.socket.localPort}/0` }).end();
    else if (left > 0) response.writeHead(307, { location: `/${left - 1}` }).end();
    else response.writeHead(200).end(TEXT);
  };
  assert.equal(await textOf(await get("/5")), TEXT);
  assert.equal(await codeOf(get("/6")), "feed.redirected-wrongly");
  assert.equal(await codeOf(get("/elsewhere")), "feed.redirected-wrongly");
  // Within a private network it may lead on, from the public internet it may not lead into one.
  assert.equal(await textOf(await get("/to/localhost")), TEXT);
  const looks = new Map([
    ["shop.test", ["127.0.0.2", "127.0.0.1"]],
    ["mirror.test", ["127.0.0.2"]],
    ["inside.test", ["127.0.0.1"]],
  ]);
  const network: Network = {
    isPublic: (each) => each === "127.0.0.2",
    lookup: (host, _options, found) => {
      const [here = "", ...later] = looks.get(host) ?? [];
      // A name leads to the next of its addresses each time, and stays with the last.
      if (later.length > 0) looks.set(host, later);
      found(null, [{ address: here, family: 4 }]);
    },
  };
  const outside = `http://mirror.test:${new URL(base).port}`;
  assert.equal(await textOf(await get(`${outside}/to/mirror.test`, { network })), TEXT);
  for (const to of ["inside.test", "127.0.0.1"]) {
    assert.equal(await codeOf(get(`${outside}/to/${to}`, { network })), "feed.redirected-wrongly", to);
  }
  // One name, which leads elsewhere the second time that it is looked up.
  const rebound = `http://shop.test:${new URL(base).port}/to/shop.test`;
  assert.equal(await codeOf(get(rebound, { network })), "feed.redirected-wrongly");
});

test("HTTP: what a server refuses, delays, cuts or sends too much of has a name each", async () => {
  answer = (request, response) => {
    const url = request.url ?? "";
    if (url === "/silent") return;
    if (url === "/stalls") response.writeHead(200).write("id");
    else if (url === "/cut") response.writeHead(200, { "content-length": "999" }).write("id", () => response.destroy());
    else if (url === "/bomb") response.writeHead(200).end(gzipSync(Buffer.alloc(4_000_000)));
    else if (url === "/encoded-bomb")
      response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(Buffer.alloc(4_000_000)));
    else if (url === "/faulty") response.writeHead(200, { "content-encoding": "gzip" }).end("no gzip at all");
    else if (url === "/faulty-br") response.writeHead(200, { "content-encoding": "br" }).end("no brotli at all");
    else if (url === "/large") response.writeHead(200, { "content-length": "5000000" }).write("id");
    else response.writeHead(Number(url.slice(1)), { "retry-after": "120" }).end();
  };
  const whole = async (path: string) => {
    const timeoutMs = ["/silent", "/stalls"].includes(path) ? 80 : 20_000;
    return textOf(
      await get(path, { limits: { headTimeoutMs: timeoutMs, idleTimeoutMs: timeoutMs, bytesMax: 1_000_000 } }),
    );
  };
  const cases: readonly (readonly [string, string])[] = [
    ["/404", "feed.not-found"],
    ["/403", "feed.refused"],
    ["/429", "feed.busy"],
    ["/503", "feed.busy"],
    ["/silent", "feed.too-slow"],
    ["/stalls", "feed.too-slow"],
    ["/cut", "feed.unreachable"],
    ["/bomb", "feed.too-large"],
    ["/encoded-bomb", "feed.too-large"],
    ["/faulty", "feed.compression-broken"],
    ["/faulty-br", "feed.compression-broken"],
    ["/large", "feed.too-large"],
    ["http://127.0.0.1:1/", "feed.unreachable"],
    ["ftp://shop.sg/feed", "feed.place-wrong"],
    ["http://me:secret@127.0.0.1/", "feed.place-wrong"],
  ];
  for (const [path, code] of cases) assert.equal(await codeOf(whole(path)), code, path);
  await assert.rejects(get("/503"), { details: { retryAfterMs: 120_000 }, retryable: true });
});

test("HTTP: an abort ends the request, and whoever stops reading breaks the connection off", async () => {
  let closed: Promise<unknown> = Promise.resolve();
  answer = (request, response) => {
    closed = new Promise((resolve) => request.socket.once("close", resolve));
    response.writeHead(200).write("x".repeat(100_000));
  };
  const stop = new AbortController();
  const reading = get("/feed", { signal: stop.signal }).then(textOf);
  stop.abort();
  assert.equal(await codeOf(reading), "platform.aborted");
  const feed = await get("/feed");
  assert.ok(feed.kind === "changed");
  for await (const chunk of feed.chunks) {
    assert.ok(chunk.byteLength > 0);
    break;
  }
  await closed;
});

test("files: read from their folder and no other, unchanged while they are", async () => {
  const { files } = memoryFiles();
  await files.makeFolder("/feeds/a");
  const handle = await files.open("/feeds/a/f.csv.gz", "create");
  await handle.write(gzipSync(TEXT), 0);
  await handle.close();
  const at = (location: string, known: Validators = {}) => fetchFile(files, { folder: "/feeds", location, known });
  const first = await at("file:a/f.csv.gz");
  assert.ok(first.kind === "changed");
  assert.equal(await textOf(first), TEXT);
  assert.equal(await textOf(await at("file:a/f.csv.gz", first.validators)), "unchanged");
  assert.equal(await codeOf(at("file:b.csv")), "feed.not-found");
  for (const outside of ["file:../etc/passwd", "file:/etc/passwd", "file:a/../..", "file:", "file:."]) {
    assert.equal(await codeOf(at(outside)), "feed.place-wrong", outside);
  }
});

test("what is cut within its compression is broken, and no shorter feed", async () => {
  const cut = async function* (): AsyncGenerator<Uint8Array> {
    for (const byte of gzipSync(TEXT.repeat(50)).subarray(0, -9)) yield Buffer.of(byte);
  };
  const whole = async () => textOf({ kind: "changed", validators: {}, chunks: expanded(cut()), endIsTold: () => true });
  assert.equal(await codeOf(whole()), "feed.compression-broken");
});
