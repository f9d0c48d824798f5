import assert from "node:assert/strict";
import { test } from "node:test";
import { discardOpened, objectKey, openFrame, sealFrame } from "./sealing.ts";

test("what was opened and is discarded gives its memory back at once; memory that others share stays", () => {
  const key = objectKey(Buffer.alloc(32, 7));
  const frame = { number: { space: "data", ordinal: 3 }, meaning: Buffer.from("a chunk") } as const;
  const sealed = Buffer.concat(sealFrame(key, { ...frame, plain: Buffer.alloc(33_000, "page") }));
  const opened = openFrame(key, { ...frame, sealed });
  assert.ok(opened !== undefined);
  assert.equal(opened.byteLength, 33_000);
  discardOpened(opened);
  assert.equal(opened.byteLength, 0);
  const whole = Buffer.alloc(100, "kept");
  discardOpened(whole.subarray(10));
  assert.ok(whole.equals(Buffer.alloc(100, "kept")));
});
