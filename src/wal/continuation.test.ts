import assert from "node:assert/strict";
import { test } from "node:test";
import { comparedOffset } from "./continuation.ts";

const PAGE = 8192;

/** Pages of WAL: of each the number of bytes written behind its header. */
function pages(...written: readonly number[]): Buffer {
  const bytes = Buffer.alloc(written.length * PAGE);
  for (const [index, count] of written.entries()) bytes.fill(0xd1, index * PAGE, index * PAGE + 24 + count);
  return bytes;
}

test("compared is the last page that says something, and the one before it", () => {
  assert.equal(comparedOffset(pages(8168, 8168, 8)), PAGE);
  assert.equal(comparedOffset(pages(8168, 8168, 500).subarray(0, 2 * PAGE + 100)), PAGE);
});

test("pages that are blank behind their headers say nothing, nor do pages of zeros, nor a part of one", () => {
  assert.equal(comparedOffset(pages(8168, 8168, 8168, 0, 0)), PAGE);
  assert.equal(comparedOffset(Buffer.concat([pages(8168, 8168, 8168, 0), Buffer.alloc(3 * PAGE)])), PAGE);
  assert.equal(comparedOffset(pages(8168, 8168, 8168, 0).subarray(0, 3 * PAGE + 10)), PAGE);
});

test("bytes that do not reach back to the page before say so", () => {
  assert.equal(comparedOffset(pages(8168)), undefined);
  assert.equal(comparedOffset(pages(8168, 0)), undefined);
  assert.equal(comparedOffset(pages(0, 0)), undefined);
  assert.equal(comparedOffset(Buffer.alloc(0)), undefined);
});
