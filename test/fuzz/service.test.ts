/**
 * What the programs of the protected service read that others wrote (redis, a server, a file, callers), given nearly right: it
 * is read, or refused with an error that is no bug. Feeds have their own: catalog/scraper/feeds/read-rows.test.ts.
 */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { formOf } from "../../catalog/api/problems.ts";
import { decodeCopy, encodeCopy } from "../../catalog/cache/copies.ts";
import { Redis } from "../../catalog/cache/redis.ts";
import { namesOf, rowsToJson, textOf } from "../../catalog/database/json-rows.ts";
import { RawSocket } from "../../catalog/database/raw-socket.ts";
import { passAddress, passedAddress } from "../../catalog/keys/passed-address.ts";
import { readPrice } from "../../catalog/scraper/feeds/money.ts";
import { decodeCursor, encodeCursor } from "../../catalog/search/cursor.ts";
import { readServiceFile } from "../../catalog/settings/service-file.ts";
import { callerAddress, isNetwork, networksOf } from "../../src/platform/caller-address.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { repetitions } from "../support/effort.ts";
import { fuzz, fuzzFile } from "../support/fuzzing.ts";
import { withListener } from "../support/listener.ts";

// --- Redis ------------------------------------------------------------------------------------------------------------

const copy = { body: Buffer.from("{}"), etag: '"a"', madeAt: 1, freshUntil: 2, usableUntil: 3 };
const encoded = encodeCopy(copy);
fuzz("a kept answer", [Buffer.from(encoded)], (bytes) => {
  const read = decodeCopy(`${bytes}`);
  if (read === undefined) return;
  for (const time of [read.madeAt, read.freshUntil, read.usableUntil]) assert.ok(Number.isFinite(time), String(time));
});
const password = { first: "x", now: async () => "x" };
fuzz(
  "what redis answers the service",
  [Buffer.from(`$${encoded.length}\r\n${encoded}\r\n`), Buffer.from("$-1\r\n"), Buffer.from("-LOADING Redis\r\n")],
  async (bytes) => {
    const asked = Promise.withResolvers<void>();
    const onSocket = (socket: Socket): void => {
      socket.on("data", (said) => {
        const commands = said.toString("latin1").match(/^\*\d+\r$/gm)?.length ?? 0;
        if (!said.includes("GET")) socket.write("+OK\r\n".repeat(commands));
        else socket.write(bytes);
        asked.resolve();
      });
    };
    await withListener(onSocket, async (port) => {
      const redis = new Redis(systemClock, { host: "127.0.0.1", port, password });
      try {
        await asked.promise;
        while (!redis.answers) await new Promise((resolve) => setImmediate(resolve));
        const text = await redis.get("key");
        assert.ok(text === undefined || typeof text === "string");
      } finally {
        redis.stop();
      }
    });
  },
  // To make a client takes a third of a second.
  repetitions(15, 300),
);

// --- A server ---------------------------------------------------------------------------------------------------------

const COLUMNS = [
  { name: "id", typeId: 20 },
  { name: "title", typeId: 25 },
  { name: "path", typeId: 1009 },
  { name: "there", typeId: 16 },
];
const value = (text: string | undefined): Buffer => {
  const length = Buffer.alloc(4);
  length.writeInt32BE(text === undefined ? -1 : Buffer.byteLength(text));
  return Buffer.concat([length, Buffer.from(text ?? "")]);
};
const body = Buffer.concat([Buffer.from([0, 4]), value("7"), value('a "b"'), value("{Home,b}"), value(undefined)]);
const SECRET = Buffer.from("of another row");

/** A row as a server sent it, whatever is in it; behind it lies what is none of its. */
function rowOf(bytes: Buffer): { readonly bytes: Buffer; readonly start: number } {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.byteLength + 4);
  return { bytes: Buffer.concat([Buffer.from("D"), length, bytes, SECRET]), start: 5 };
}

fuzz("a row of the service's database", [body], (bytes) => {
  const row = rowOf(bytes);
  const json = rowsToJson({ columns: COLUMNS, rows: [row] }, () => true);
  assert.ok(!json.includes(SECRET) && !textOf(COLUMNS, row, "title")?.includes(String(SECRET)));
});
fuzz("an array of texts", [Buffer.from('{Home,"Power, Tools","a\\"b"}')], (bytes) => namesOf(`${bytes}`));
const messages = Buffer.concat([
  rowOf(body).bytes.subarray(0, -SECRET.byteLength),
  Buffer.from("C\0\0\0\x04Z\0\0\0\x05I"),
]);
fuzz("messages of which rows are kept back", [messages], (bytes) => {
  const socket = new RawSocket();
  let [rows, passed] = [0, 0];
  socket.on("data", (each: Buffer) => {
    passed += each.byteLength;
  });
  socket.taker = ({ bytes: of, start }) => {
    rows += of.readUInt32BE(start - 4) + 1;
  };
  for (let at = 0; at < bytes.byteLength; at += 7) socket.emit("data", Buffer.from(bytes.subarray(at, at + 7)));
  // Nothing comes twice, nothing is made up.
  assert.ok(rows + passed <= bytes.byteLength);
  socket.destroy();
});

// --- Its file ---------------------------------------------------------------------------------------------------------

const service = {
  ...{ format: "lifeboat-catalog-service", version: 1, release: "1", trustedProxies: ["10.0.0.0/8"] },
  database: { host: "127.0.0.1", port: 6432, name: "shop", user: "app", passwordFile: "/secrets/a" },
  reads: { host: "127.0.0.1", port: 5436, prepares: true },
  scraper: { api: "http://127.0.0.1:8080", generated: true },
  mcp: { api: "http://127.0.0.1:8080", hosts: ["a"] },
};
fuzzFile("a service's file", "service.json", JSON.stringify(service), readServiceFile);

// --- Callers ----------------------------------------------------------------------------------------------------------

const cursors = [
  { sort: "newest", value: "2026-04-18 09:30:00.1+00", id: 7 },
  { sort: "price_asc", value: "12.50", id: 7 },
] as const;
fuzz(
  "a cursor",
  cursors.map((each) => Buffer.from(encodeCursor(each as never))),
  (bytes) => {
    for (const text of [`${bytes}`, Buffer.from(bytes).toString("base64url")]) {
      const cursor = decodeCursor(text);
      assert.ok(cursor === undefined || Number.isInteger(cursor.id));
    }
  },
);
const proxies = networksOf(["10.0.0.0/8", "fd00::/8"]);
fuzz("who passed a request on", [Buffer.from("192.0.2.7, 10.1.2.3, ::ffff:10.0.0.9")], (bytes) => {
  const peer = "10.0.0.1";
  const caller = callerAddress({ peer, forwarded: `${bytes}` }, proxies);
  assert.ok(isNetwork(caller) && !caller.includes("/"), caller);
});
fuzz("an address that was passed", [Buffer.from(passAddress("192.0.2.7", "s"))], (bytes) => {
  const read = passedAddress(`${bytes}`, "s");
  assert.ok(read === undefined || read === "192.0.2.7", read);
});
fuzz("what a caller takes", [Buffer.from("text/html, application/problem+json;q=0.5")], (bytes) => {
  assert.match(formOf(`${bytes}`), /^(ours|rfc9457)$/);
});
fuzz("a price", [Buffer.from("USD 1,299.50"), Buffer.from("15.00 USD")], (bytes) => {
  const price = readPrice(`${bytes}`);
  assert.ok(price === undefined || /^\d+$/.test(price.whole));
});
