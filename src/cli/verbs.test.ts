import assert from "node:assert/strict";
import { test } from "node:test";
import { packagesLoadedBy } from "../../test/support/loaded-packages.ts";

test("to answer a command line only its parser is loaded: what a verb needs comes when it runs", async () => {
  assert.deepEqual(await packagesLoadedBy(new URL("./verbs.ts", import.meta.url)), ["commander"]);
});
