import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { shellQuoted } from "./shell-word.ts";

test("a shell takes any text for one word", () => {
  for (const text of ["cdc", "", "it's", "two words, 'three'", '$HOME `id` \\ "!"', "a\nb"]) {
    assert.equal(execFileSync("sh", ["-c", `printf %s ${shellQuoted(text)}`]).toString(), text);
  }
});
