import assert from "node:assert/strict";
import { test } from "node:test";
import { viewSql } from "./view.ts";

test("a server is asked once whether it is a standby, so that a promotion meanwhile leaves no answer without its part", () => {
  assert.equal(viewSql().match(/pg_is_in_recovery/g)?.length, 1);
});
