import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "../../src/platform/prng.ts";
import { RawSocket } from "./raw-socket.ts";

function message(kind: string, body: string): Buffer {
  const bytes = Buffer.alloc(5 + body.length);
  bytes.write(kind, 0, "latin1");
  bytes.writeUInt32BE(4 + body.length, 1);
  bytes.write(body, 5, "latin1");
  return bytes;
}

/** Two answers, and news of the server between and within them. Z ends an answer. */
const MESSAGES = [
  message("2", ""),
  message("D", "first"),
  message("D", "x".repeat(50)),
  message("S", "a parameter"),
  message("D", ""),
  message("C", "SELECT 3"),
  message("Z", "I"),
  message("N", "a notice"),
  message("D", "nobody's"),
];

/** What the driver and the taker get when the bytes come in pieces; the taker goes as soon as the driver has seen Z. */
function sorted(pieces: readonly Buffer[]): { readonly driver: string; readonly rows: readonly string[] } {
  const socket = new RawSocket();
  const driver: Buffer[] = [];
  const rows: string[] = [];
  socket.on("data", (bytes: Buffer) => {
    driver.push(Buffer.from(bytes));
    if (Buffer.concat(driver).includes("Z\0\0\0\x05I")) socket.taker = undefined;
  });
  socket.taker = ({ bytes, start }) => {
    rows.push(bytes.toString("latin1", start, start + bytes.readUInt32BE(start - 4) - 4));
  };
  for (const piece of pieces) socket.emit("data", piece);
  socket.destroy();
  return { driver: Buffer.concat(driver).toString("latin1"), rows };
}

test("rows go to who takes them and all else to the driver, wherever the network cuts", () => {
  const whole = Buffer.concat(MESSAGES);
  const rest = MESSAGES.filter((each, index) => each[0] !== 0x44 || index === 8);
  const expected = { driver: Buffer.concat(rest).toString("latin1"), rows: ["first", "x".repeat(50), ""] };
  assert.deepEqual(sorted([whole]), expected);
  assert.deepEqual(sorted([...whole].map((byte) => Buffer.from([byte]))), expected);
  const random = new Prng(3);
  for (let run = 0; run < 200; run += 1) {
    const pieces: Buffer[] = [];
    for (let at = 0; at < whole.length; ) {
      const next = at + 1 + random.below(40);
      pieces.push(whole.subarray(at, next));
      at = next;
    }
    assert.deepEqual(sorted(pieces), expected, `run ${run}`);
  }
});
