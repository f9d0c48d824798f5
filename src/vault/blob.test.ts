import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isLifeboatError } from "../errors/error.ts";
import { systemRandom } from "../platform/random.ts";
import { BLOB_FRAME_BYTES, openBlob, sealBlob } from "./blob.ts";
import { encodeHeader, HEADER_BYTES } from "./header.ts";
import { createDataKey } from "./keys.ts";
import { deriveObjectKey, sealFrame } from "./sealing.ts";

const dataKey = createDataKey(systemRandom);
const tools = { dataKey, random: systemRandom };

async function seal(plain: Buffer, name = "wal/1/history/00000002"): Promise<Buffer> {
  return Buffer.concat(await sealBlob({ name, plain, level: 3 }, tools));
}

const isDamage = (error: unknown): boolean => isLifeboatError(error, "vault.object-damaged");

describe("a blob", () => {
  test("opens to the bytes that were sealed, whatever their length", async () => {
    const lengths = [0, 1, BLOB_FRAME_BYTES - 1, BLOB_FRAME_BYTES, BLOB_FRAME_BYTES + 1, 3 * BLOB_FRAME_BYTES];
    for (const length of lengths) {
      const plain = systemRandom(length);
      assert.ok(
        (await openBlob("wal/1/history/00000002", await seal(plain), dataKey)).equals(plain),
        `${length} bytes`,
      );
    }
  });

  test("opens into memory that has the room for it, and leaves smaller memory alone", async () => {
    const plain = systemRandom(BLOB_FRAME_BYTES + 1);
    const sealed = await seal(plain);
    for (const [bytes, inPlace] of [
      [plain.byteLength + 1, true],
      [plain.byteLength, true],
      [plain.byteLength - 1, false],
    ] as const) {
      const into = Buffer.alloc(bytes);
      const opened = await openBlob("wal/1/history/00000002", sealed, dataKey, into);
      assert.ok(opened.equals(plain), `${bytes} bytes`);
      assert.equal(opened.buffer === into.buffer, inPlace, `${bytes} bytes`);
      assert.equal(into.equals(Buffer.alloc(bytes)), !inPlace, `${bytes} bytes`);
    }
  });

  test("does not open into memory when it was harmed, cut or lengthened", async () => {
    const sealed = await seal(Buffer.from("words ".repeat(BLOB_FRAME_BYTES / 4)));
    const into = Buffer.alloc(2 * BLOB_FRAME_BYTES);
    const harm = (at: number): Buffer => {
      const harmed = Buffer.from(sealed);
      harmed[at] = (harmed[at] ?? 0) ^ 1;
      return harmed;
    };
    const [header, frame] = [HEADER_BYTES, HEADER_BYTES + 12];
    for (const bad of [
      ...[header, header + 4, header + 8, header + 9, frame, sealed.byteLength - 1].map(harm),
      sealed.subarray(0, -1),
      Buffer.concat([sealed, Buffer.from([0])]),
    ]) {
      await assert.rejects(openBlob("wal/1/history/00000002", bad, dataKey, into), isDamage);
    }
  });

  test("does not open when any one bit of it was flipped", async () => {
    const sealed = await seal(Buffer.from("some content, long enough to be worth a few bytes of frame"));
    for (let at = 0; at < sealed.byteLength; at += 1) {
      // The key id names the data key to look for; a changed one is missed before anything is opened.
      if (at >= 16 && at < 32) continue;
      const harmed = Buffer.from(sealed);
      harmed[at] = (harmed[at] ?? 0) ^ 1;
      await assert.rejects(
        openBlob("wal/1/history/00000002", harmed, dataKey),
        (error: unknown) => isDamage(error) || isLifeboatError(error, "vault.format-unknown"),
        `byte ${at}`,
      );
    }
  });

  test("does not open when it was cut anywhere or has bytes behind its end", async () => {
    const sealed = await seal(systemRandom(2 * BLOB_FRAME_BYTES));
    const frame = 12 + 16 + BLOB_FRAME_BYTES;
    const cuts = [0, 1, HEADER_BYTES, HEADER_BYTES + frame, HEADER_BYTES + 2 * frame, sealed.byteLength - 1];
    for (const cut of cuts) {
      await assert.rejects(
        openBlob("wal/1/history/00000002", sealed.subarray(0, cut), dataKey),
        isDamage,
        `cut at ${cut}`,
      );
    }
    await assert.rejects(
      openBlob("wal/1/history/00000002", Buffer.concat([sealed, Buffer.from([0])]), dataKey),
      isDamage,
    );
  });

  test("does not open when its frames were swapped or one was left out", async () => {
    const sealed = await seal(systemRandom(2 * BLOB_FRAME_BYTES));
    const frame = 12 + 16 + BLOB_FRAME_BYTES;
    const head = sealed.subarray(0, HEADER_BYTES);
    const first = sealed.subarray(HEADER_BYTES, HEADER_BYTES + frame);
    const second = sealed.subarray(HEADER_BYTES + frame, HEADER_BYTES + 2 * frame);
    const last = sealed.subarray(HEADER_BYTES + 2 * frame);
    for (const parts of [
      [head, second, first, last],
      [head, first, last],
      [head, last],
    ]) {
      await assert.rejects(openBlob("wal/1/history/00000002", Buffer.concat(parts), dataKey), isDamage);
    }
  });

  test("does not open under another name", async () => {
    const sealed = await seal(Buffer.from("content"));
    await assert.rejects(openBlob("wal/1/history/00000003", sealed, dataKey), isDamage);
  });

  test("does not open with a flag or a reserved byte that this version does not know, even when it is authentic", async () => {
    for (const place of [9, 10, 11]) {
      const salt = systemRandom(16);
      const header = Buffer.alloc(12);
      header.writeUInt32LE(16, 0);
      header.writeUInt8(1, 9);
      header.writeUInt8(header.readUInt8(place) | 2, place);
      const name = "wal/1/history/00000002";
      const frame = {
        number: { space: "data", ordinal: 0 },
        meaning: Buffer.concat([header, Buffer.from(name)]),
        plain: Buffer.alloc(0),
      } as const;
      const sealed = sealFrame(deriveObjectKey(dataKey, salt), frame);
      const object = Buffer.concat([encodeHeader({ kind: "blob", keyId: dataKey.id, salt }), header, ...sealed]);
      await assert.rejects(openBlob(name, object, dataKey), isDamage, `byte ${place}`);
    }
  });

  test("random bytes never open and never hang", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (bytes, keepHeader) => {
        const head = (await seal(Buffer.alloc(0))).subarray(0, HEADER_BYTES);
        const object = keepHeader ? Buffer.concat([head, bytes]) : Buffer.from(bytes);
        await assert.rejects(
          openBlob("wal/1/history/00000002", object, dataKey),
          (error: unknown) => isDamage(error) || isLifeboatError(error, "vault.format-unknown"),
        );
      }),
    );
  });
});
