import assert from "node:assert/strict";
import { test } from "node:test";
import {
  addresses,
  choice,
  host,
  location,
  moment,
  networks,
  port,
  slotName,
  text,
  webhook,
  whole,
} from "./value-kind.ts";

const BASE = { folder: "/srv", home: "/home/alice" };

test("text is on one line and not empty", () => {
  assert.equal(text("X").parse("a b", BASE), "a b");
  for (const bad of ["", "  ", "a\nb", "a\u001b[2J"]) assert.equal(text("X").parse(bad, BASE), undefined);
});

test("numbers keep to their bounds and have no other spelling", () => {
  const level = whole("LEVEL", { min: 1, max: 19 });
  assert.equal(level.parse("19", BASE), 19);
  for (const bad of ["0", "20", "1.5", "-1", "1e1", "0x3", "", " 3"])
    assert.equal(level.parse(bad, BASE), undefined, bad);
  assert.equal(port().parse("65536", BASE), undefined);
});

test("networks are addresses with a length, and a list with one that is none is none", () => {
  assert.deepEqual(networks().parse("10.0.0.0/8, 192.0.2.1", BASE), ["10.0.0.0/8", "192.0.2.1"]);
  assert.equal(networks().format(["10.0.0.0/8", "192.0.2.1"]), "10.0.0.0/8,192.0.2.1");
  for (const bad of ["", "10.0.0.0/33", "10.0.0.0/8,", "proxy"]) assert.equal(networks().parse(bad, BASE), undefined);
});

test("addresses are hosts with ports, the folder of a socket only where one is taken", () => {
  const given = "127.0.0.1:8101, db.example.org:8102";
  assert.deepEqual(addresses().parse(given, BASE), [
    { host: "127.0.0.1", port: 8101 },
    { host: "db.example.org", port: 8102 },
  ]);
  const sockets = "/srv/run:5435,/srv/run/two:5435";
  assert.equal(addresses().parse(sockets, BASE), undefined);
  const parsed = addresses({ sockets: true }).parse(sockets, BASE);
  assert.deepEqual(
    parsed?.map(({ host: folder }) => folder),
    ["/srv/run", "/srv/run/two"],
  );
  assert.equal(addresses({ sockets: true }).format(parsed ?? []), sockets);
  for (const bad of ["", ":1", "a:0", "a:65536", "run:1,", "/srv\n:1", "relative/run:5435"]) {
    assert.equal(addresses({ sockets: true }).parse(bad, BASE), undefined, bad);
  }
});

test("a slot name is what PostgreSQL takes", () => {
  assert.equal(slotName().parse("lifeboat_vault", BASE), "lifeboat_vault");
  for (const bad of ["Lifeboat", "a-b", "", "x".repeat(64)]) assert.equal(slotName().parse(bad, BASE), undefined, bad);
});

test("a host is a name, an address or a socket folder", () => {
  for (const good of ["db", "10.0.0.1", "::1", "/var/run/postgresql"]) assert.equal(host().parse(good, BASE), good);
  for (const bad of ["", "a b", "postgres://db", "run/postgresql"])
    assert.equal(host().parse(bad, BASE), undefined, bad);
});

test("a choice is one of its words", () => {
  assert.equal(choice(["fast", "spread"]).parse("spread", BASE), "spread");
  assert.equal(choice(["fast", "spread"]).parse("Fast", BASE), undefined);
});

test("a location is made absolute", () => {
  assert.equal(location("folder").parse("~", BASE), "/home/alice");
  assert.equal(location("folder").parse("~/v", BASE), "/home/alice/v");
  assert.equal(location("folder").parse("./v/../w", BASE), "/srv/w");
  assert.equal(location("file").parse("", BASE), undefined);
});

test("a moment has a zone and is never later than what was written", () => {
  const three = Date.UTC(2026, 0, 1, 3, 0, 0);
  assert.equal(moment().parse("2026-01-01T03:00:00Z", BASE), three);
  assert.equal(moment().parse("2026-01-01 03:00:00+00", BASE), three);
  assert.equal(moment().parse("2026-01-01 05:30:00.123999+0230", BASE), three + 123);
  assert.equal(moment().parse("2026-01-01T03:00+00:00", BASE), three);
  for (const bad of ["2026-01-01T03:00:00", "2026-01-01", "now", "2026-02-31T00:00:00Z", "2026-01-01T25:00:00Z"]) {
    assert.equal(moment().parse(bad, BASE), undefined, bad);
  }
});

test("the address of a webhook is one that events can be sent to, and people are shown no more of it than its host", () => {
  const { parse, show } = webhook();
  const good = "https://hooks.example.com/services/T0/TOKEN";
  assert.deepEqual([parse(good, BASE), show?.(good)], [good, "https://hooks.example.com/…"]);
  for (const bad of [
    "hooks.example.com/services/T0/TOKEN",
    "ftp://hooks.example.com/TOKEN",
    "https://pager:TOKEN@hooks.example.com/",
    "http://TOKEN@hooks.example.com/",
    "https://hooks.example.com/TO\nKEN",
    "TOKEN",
  ]) {
    assert.equal(parse(bad, BASE), undefined, bad);
    assert.doesNotMatch(show?.(bad) ?? bad, /TOKEN/);
  }
});
