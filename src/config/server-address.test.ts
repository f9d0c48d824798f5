import assert from "node:assert/strict";
import { test } from "node:test";
import { tlsOf } from "./server-address.ts";

test("a server elsewhere is verified unless told otherwise, this machine and its sockets are not", () => {
  const said = { tls: undefined, caFile: "/ca.pem" } as const;
  assert.deepEqual(tlsOf({ ...said, host: "db.example" }), { mode: "verify-full", caFile: "/ca.pem" });
  assert.deepEqual(tlsOf({ ...said, host: "localhost" }), { mode: "disable" });
  assert.deepEqual(tlsOf({ ...said, host: "localhost", tls: "require" }), { mode: "require" });
  assert.deepEqual(tlsOf({ ...said, host: "/run/postgresql", tls: "require" }), { mode: "disable" });
});
