import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { describeByteSize, formatByteSize, parseByteSize } from "./byte-size.ts";

test("a size is read in binary and in decimal units", () => {
  assert.equal(parseByteSize("64MiB"), 67_108_864);
  assert.equal(parseByteSize("1.5 GiB"), 1_610_612_736);
  assert.equal(parseByteSize("500MB"), 500_000_000);
  assert.equal(parseByteSize("8192"), 8192);
  assert.equal(parseByteSize("0"), 0);
});

test("what is not a size is refused, above all a unit that could mean two things", () => {
  for (const text of ["", "64M", "64mb", "-1", "MiB", "1.5", "0.3B", "99999999TiB", "1e9", "64 MiB/s"]) {
    assert.equal(parseByteSize(text), undefined, text);
  }
});

test("writing a size and reading it again gives the same size", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (bytes) => {
      assert.equal(parseByteSize(formatByteSize(bytes)), bytes);
    }),
  );
  assert.equal(formatByteSize(64 * 1024 * 1024), "64MiB");
});

test("a size for people has about three digits", () => {
  assert.equal(describeByteSize(17), "17 B");
  assert.equal(describeByteSize(1_288_490_188), "1.2 GiB");
  assert.equal(describeByteSize(340 * 1024 * 1024), "340 MiB");
  assert.equal(describeByteSize(1024 * 1024 - 1), "1.0 MiB");
});
