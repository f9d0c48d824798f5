import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isLifeboatError } from "../../errors/error.ts";
import { FrameReader, MESSAGE_BYTES_MAX } from "./frame-reader.ts";

type Sent = { readonly type: number; readonly body: Buffer };

/** Messages as a server sends them: small ones, empty ones, base backup payload, bodies larger than a chunk. */
const message: fc.Arbitrary<Sent> = fc.oneof(
  fc.record({ type: fc.constantFrom(0x44, 0x43, 0x54, 0x77), body: fc.uint8Array({ maxLength: 40 }).map(toBuffer) }),
  fc.record({
    type: fc.constant(0x64),
    body: fc
      .tuple(fc.constantFrom(0x64, 0x6e, 0x70), fc.uint8Array({ maxLength: 300 }))
      .map(([kind, rest]) => Buffer.from([kind, ...rest])),
  }),
  fc.record({ type: fc.constant(0x64), body: fc.constant(Buffer.alloc(0)) }),
);

test("any split of a byte stream gives the same messages", () => {
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 30 }),
      fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1 }),
      (sent, sizes) => {
        const reader = new FrameReader(spoil);
        const got: Sent[] = [];
        for (const chunk of split(encode(sent), sizes)) {
          reader.append(chunk);
          for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
            assert.equal(frame.kind, "message");
            if (frame.kind === "message") got.push({ type: frame.type, body: frame.body });
          }
        }
        assert.deepEqual(
          got,
          sent.map(({ type, body }) => ({ type, body })),
        );
        assert.equal(reader.queuedBytes, 0);
      },
    ),
  );
});

test("any split of a byte stream gives the same base backup bytes in the same order among the other messages", () => {
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 30 }),
      fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1 }),
      (sent, sizes) => {
        const reader = new FrameReader(spoil);
        reader.splitPayload = true;
        const got: string[] = [];
        for (const chunk of split(encode(sent), sizes)) {
          reader.append(chunk);
          for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
            if (frame.kind === "message") got.push(`${frame.type}:${frame.body.toString("hex")};`);
            else got.push(frame.view.toString("hex"));
          }
        }
        const expected = sent.map(({ type, body }) =>
          type === 0x64 && body[0] === 0x64 ? body.subarray(1).toString("hex") : `${type}:${body.toString("hex")};`,
        );
        assert.equal(got.join(""), expected.join(""));
      },
    ),
  );
});

test("bodies handed out keep their bytes though their chunks are used again; each chunk comes back once", () => {
  const released: Buffer[] = [];
  const reader = new FrameReader((chunk) => {
    released.push(chunk);
    spoil(chunk);
  });
  const bodies = Array.from({ length: 500 }, (_, index) => Buffer.alloc(100 + index, index % 251));
  const held: Buffer[] = [];
  const chunks = [...split(encode(bodies.map((body) => ({ type: 0x64, body }))), [777])];
  for (const chunk of chunks) {
    reader.append(chunk);
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      if (frame.kind === "message") held.push(frame.body);
    }
  }
  assert.deepEqual(held, bodies);
  const returned = new Set(released);
  assert.ok(released.length === chunks.length && chunks.every((chunk) => returned.has(chunk)));
  assert.equal(reader.queuedChunks, 0);
});

test("a length below 4 or beyond the limit is a named error as soon as the header is there", () => {
  for (const length of [0, 3, MESSAGE_BYTES_MAX + 5, 0x7fffffff, 0x80000000, 0xffffffff]) {
    const reader = new FrameReader();
    const header = Buffer.alloc(5);
    header[0] = 0x64;
    header.writeUInt32BE(length, 1);
    reader.append(header);
    assert.throws(
      () => reader.next(),
      (error) => isLifeboatError(error, "postgres.protocol"),
      `length ${length}`,
    );
  }
});

test("a large message in tiny chunks is put together without quadratic copying", () => {
  const reader = new FrameReader();
  const body = Buffer.alloc(MESSAGE_BYTES_MAX, 7);
  const bytes = encode([{ type: 0x44, body }]);
  const begun = performance.now();
  let frame: ReturnType<FrameReader["next"]>;
  for (let at = 0; at < bytes.byteLength; at += 100) {
    reader.append(bytes.subarray(at, at + 100));
    frame = reader.next() ?? frame;
  }
  assert.ok(frame?.kind === "message" && frame.body.equals(body));
  assert.ok(performance.now() - begun < 5000, "84,000 chunks take well under five seconds");
});

test("random bytes end in messages, hunger or postgres.protocol, never in anything else", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 64 }), { maxLength: 20 }),
      fc.boolean(),
      (chunks, splitPayload) => {
        const reader = new FrameReader();
        reader.splitPayload = splitPayload;
        try {
          for (const chunk of chunks) {
            reader.append(toBuffer(chunk));
            while (reader.next() !== undefined);
          }
        } catch (error) {
          assert.ok(isLifeboatError(error, "postgres.protocol"));
        }
      },
    ),
  );
});

/** What becomes of a chunk that is read into again. */
function spoil(chunk: Buffer): void {
  chunk.fill(0xee);
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes);
}

function encode(messages: readonly Sent[]): Buffer {
  return Buffer.concat(
    messages.flatMap(({ type, body }) => {
      const header = Buffer.alloc(5);
      header[0] = type;
      header.writeUInt32BE(body.byteLength + 4, 1);
      return [header, body];
    }),
  );
}

function* split(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  let at = 0;
  for (let index = 0; at < bytes.byteLength; index += 1) {
    const size = sizes[index % sizes.length] ?? 1;
    // A copy: what the reader was given must be its own.
    yield Buffer.from(bytes.subarray(at, at + size));
    at += size;
  }
}
