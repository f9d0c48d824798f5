import assert from "node:assert/strict";
import { test } from "node:test";
import { callerAddress, countedAs, isNetwork, networksOf } from "./caller-address.ts";

const STRANGER = "192.0.2.9";

test("whoever connects is the caller where no proxy is trusted, whatever they say", () => {
  const none = networksOf([]);
  assert.equal(callerAddress({ peer: STRANGER, forwarded: "198.51.100.1" }, none), STRANGER);
  assert.equal(callerAddress({ peer: "127.0.0.1", forwarded: "198.51.100.1" }, none), "127.0.0.1");
});

test("proxies of trusted networks are believed from the end on, until somebody else is named", () => {
  const networks = networksOf(["10.0.0.0/8", "127.0.0.1", "fd00::/8"]);
  const from = (peer: string, forwarded?: string) => callerAddress({ peer, forwarded }, networks);
  assert.equal(from("10.1.2.3", STRANGER), STRANGER);
  assert.equal(
    from("::ffff:10.1.2.3", `1.1.1.1, ${STRANGER}, fd00::7`),
    STRANGER,
    "what the stranger wrote is not believed",
  );
  assert.equal(from("127.0.0.2", STRANGER), "127.0.0.2");
  assert.equal(from(STRANGER, "10.1.2.3"), STRANGER, "a stranger is no proxy for saying so");
  assert.equal(from("fd00::1", "2001:db8::5"), "2001:db8::5");
  assert.equal(from("10.1.2.3"), "10.1.2.3");
  assert.equal(from("10.1.2.3", "10.9.9.9"), "10.9.9.9", "all are trusted");
  assert.equal(from("10.1.2.3", `${STRANGER}, "nobody"`), "10.1.2.3");
});

test("addresses of the newer kind are counted by their network, however they are written, those of the older one by one", () => {
  for (const each of [
    "2001:db8:0:7::1",
    "2001:db8:0:7:a:b:c:d",
    "2001:DB8:0000:0007:ffff::",
    "2001:db8::7:1:2:3:4",
    "2001:db8:0:7::192.0.2.1",
    "2001:db8::7:0:0:192.0.2.1",
  ])
    assert.equal(countedAs(each), "2001:db8:0:7::/64", each);
  assert.equal(countedAs("fe80::1%eth0"), "fe80:0:0:0::/64");
  assert.equal(countedAs("2001:db8:0:8::1"), "2001:db8:0:8::/64");
  assert.equal(countedAs("::1"), "0:0:0:0::/64");
  for (const same of ["192.0.2.1", "", "nobody", "2001:db8:0:7::/64"]) assert.equal(countedAs(same), same);
  assert.equal(countedAs("::ffff:192.0.2.1"), "192.0.2.1");
});

test("networks are addresses, or addresses with a length that there is", () => {
  for (const good of ["10.0.0.0/8", "192.0.2.1", "::/0", "fd00::/128"]) assert.ok(isNetwork(good), good);
  for (const bad of ["", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "10.0.0.0/8/8", "10.0.0.0/", "host"])
    assert.ok(!isNetwork(bad), bad);
});
