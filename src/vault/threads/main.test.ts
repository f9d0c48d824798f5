import assert from "node:assert/strict";
import { test } from "node:test";
import { packagesLoadedBy } from "../../../test/support/loaded-packages.ts";

test("what a thread loads is ours and Node's: a package would be loaded once for every thread", async () => {
  assert.deepEqual(await packagesLoadedBy(new URL("./main.ts", import.meta.url)), []);
  assert.deepEqual(await packagesLoadedBy(new URL("../vault.ts", import.meta.url)), ["zod"]);
});
