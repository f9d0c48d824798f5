import assert from "node:assert/strict";
import { test } from "node:test";
import { allVerbs } from "../../test/support/all-verbs.ts";
import { matchesGolden } from "../../test/support/golden.ts";
import { recordedFrame } from "../../test/support/recorded-frame.ts";
import { runCli } from "./run.ts";

const verbs = allVerbs();

for (const words of [[], ["vault"], ["wal"], ["config"], ...verbs.map((verb) => [...verb.path])]) {
  test(`the help of "lifeboat ${words.join(" ")}" is what it was`, async () => {
    const frame = recordedFrame();
    assert.equal(await runCli([...words, "--help"], verbs, frame), 0);
    assert.equal(frame.stderr.written(), "");
    matchesGolden(`help/${["lifeboat", ...words].join("-")}.txt`, frame.stdout.written());
  });
}

test("every verb has an example that begins as one types it", () => {
  for (const verb of verbs) {
    assert.ok(verb.examples.length > 0, verb.path.join(" "));
    for (const { line } of verb.examples) assert.match(line, new RegExp(`lifeboat ${verb.path.join(" ")}`));
  }
});

test("help keeps within the terminal and has no colours", async () => {
  const frame = recordedFrame();
  await runCli(["restore", "--help"], verbs, frame);
  const lines = frame.stdout.written().split("\n");
  const wide = lines.filter((line) => line.length > 100 && !line.includes("lifeboat"));
  assert.deepEqual(wide, []);
});
