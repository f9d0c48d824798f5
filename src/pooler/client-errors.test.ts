import assert from "node:assert/strict";
import { test } from "node:test";
import type { Instant } from "../platform/clock.ts";
import { clientErrorsIn } from "./client-errors.ts";

// As PgBouncer 1.18 writes them.
const LINES = [
  "2026-11-26 17:21:00.830 UTC [17627] LOG S-0x563b8389a780: catalog/buywhere@127.0.0.1:29497 closing because: server conn crashed? (age=3s)",
  "2026-11-26 17:21:00.837 UTC [17627] LOG C-0x563b83891da0: catalog/buywhere@127.0.0.1:46666 closing because: server conn crashed? (age=3s)",
  "2026-11-26 17:21:00.837 UTC [17627] WARNING C-0x563b83891da0: catalog/buywhere@127.0.0.1:46666 pooler error: server conn crashed?",
  "2026-11-26 17:21:00.863 UTC [17627] WARNING C-0x563b83892720: catalog/buywhere@127.0.0.1:46712 pooler error: server conn crashed?",
  "2026-11-26 17:21:00.870 UTC [17627] WARNING C-0x563b83892720: pgbouncer/lifeboat_pooler@127.0.0.1:46712 pooler error: cannot pause admin db: pgbouncer",
  "2026-11-26 17:21:00.871 UTC [17627] WARNING C-0x563b83892100: catalog/buywhere@unix(17474):24916 pooler error: server login has been failing, try again later (server_login_retry)",
  "something that somebody else wrote",
  "2026-11-26 17:21:09.000 UTC [17627] WARNING C-0x563b83892720: catalog/buywhere@127.0.0.1:46712 pooler error: database removed",
];

function at(time: string): Instant {
  return new Date(`2026-11-26T${time}`).getTime() as Instant;
}

test("what a pooler told its clients in a span of time is counted by kind, with what may have been done all the same", () => {
  const span = { database: "catalog", from: at("17:21:00.835"), to: at("17:21:05.000") };
  assert.deepEqual(clientErrorsIn([{ lines: LINES, isAll: false }], span), {
    errors: [
      { reason: "pgb-server-crashed", executed: "perhaps", count: 2 },
      { reason: "pgb-login-failing", executed: "no", count: 1 },
    ],
    complete: true,
  });
  const two = clientErrorsIn(
    [
      { lines: LINES, isAll: false },
      { lines: LINES.slice(3), isAll: true },
    ],
    span,
  );
  assert.deepEqual(two.errors[0], { reason: "pgb-server-crashed", executed: "perhaps", count: 3 });
});

test("a log that begins only within the span, or has no line that tells when, does not say that it is all", () => {
  const span = { database: "catalog", from: at("17:21:00.000"), to: at("17:21:05.000") };
  const complete = (lines: readonly string[], isAll: boolean): boolean =>
    clientErrorsIn([{ lines, isAll }], span).complete;
  assert.deepEqual([complete(LINES, false), complete(LINES, true)], [false, true]);
  assert.equal(complete(["nothing"], false), false);
});
