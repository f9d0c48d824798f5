import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { TestEtcd } from "../../../test/support/etcd.ts";
import { isLifeboatError } from "../../errors/error.ts";
import { testRegisterConformance } from "../conformance/register-conformance.ts";
import type { Epoch } from "../lease.ts";
import { etcdRegister } from "./etcd-register.ts";

let etcd: TestEtcd;
before(async () => {
  etcd = await TestEtcd.start();
});
after(() => etcd[Symbol.asyncDispose]());

let keys = 0;

testRegisterConformance("a register in etcd", async () => {
  keys += 1;
  const key = `/lifeboat/register-${keys}`;
  const again = () => etcdRegister({ endpoints: [etcd.endpoint], timeoutMs: 2_000, fetch }, key);
  return { register: again(), again, close: async () => undefined };
});

test("a key that somebody else wrote is refused", async () => {
  const key = "/lifeboat/foreign";
  const encode = (text: string): string => Buffer.from(text).toString("base64");
  const body = JSON.stringify({ key: encode(key), value: encode("something else") });
  await fetch(`${etcd.endpoint}/v3/kv/put`, { method: "POST", body });
  const register = etcdRegister({ endpoints: [etcd.endpoint], timeoutMs: 2_000, fetch }, key);
  for (const call of [() => register.read({}), () => register.write({ over: 0, epoch: 1 as Epoch, value: 1 }, {})]) {
    await assert.rejects(call(), (error) => isLifeboatError(error, "lease.record-damaged"));
  }
});
