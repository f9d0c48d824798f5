import assert from "node:assert/strict";
import { test } from "node:test";
import { systemRandom } from "../../src/platform/random.ts";
import { open, seal } from "./idempotency.ts";

const BY = { caller: "anyone", key: "a key that is nobody's guess" };
const ANSWER = JSON.stringify({ api_key: "bw_free_0123456789abcdef0123456789abcdef", tier: "free" });

test("an answer is sealed for one caller, and the same one twice has nothing in common", () => {
  const sealed = [seal(ANSWER, BY, systemRandom), seal(ANSWER, BY, systemRandom)];
  for (const each of sealed) assert.equal(open(each, BY), ANSWER);
  const [one, other] = sealed.map((each) => Buffer.from(each.slice(2), "base64"));
  assert.ok(one !== undefined && other !== undefined && one.length > 80);
  assert.ok(one.filter((byte, index) => byte === other[index]).length < one.length / 8);
  assert.throws(() => open(seal(ANSWER, BY, systemRandom), { ...BY, caller: "7" }));
});

test("an answer that was sealed before answers had a nonce of their own is opened", () => {
  const before =
    "iVYgkPZ6xJqC+Xe4cGcqng1LJEcRXz9e5eqOpU5XIAjhryHFhR7TLVYQmbTcheooJ/VMD00JIxA23UVUMz0+dorgwFC8kMetBcqDfMwxTBl8/ixd";
  assert.equal(open(before, BY), ANSWER);
});
