/** Every command that README and the operating guide tell somebody to type is one that this program understands. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { allVerbs } from "../../test/support/all-verbs.ts";
import { recordedFrame } from "../../test/support/recorded-frame.ts";
import { EXIT } from "../errors/entry.ts";
import { runCli } from "./run.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");

/** What follows the program's name in code, up to a comment, a quote's end or what a shell does next. */
function commandsIn(page: string): readonly string[] {
  const text = readFileSync(path.join(ROOT, page), "utf8");
  const code = [...text.matchAll(/```[a-z]*\n([\s\S]*?)```|`([^`\n]+)`/g)].map((match) => match[1] ?? match[2] ?? "");
  return code
    .flatMap((block) => block.split("\n"))
    .flatMap((line) =>
      [...line.matchAll(/(?:^|[\s/'(])lifeboat ((?:[a-z-]+\b)[^#|>&;']*)/g)].map((match) => match[1] ?? ""),
    )
    .map((command) => command.trim());
}

function words(command: string): readonly string[] {
  return [...command.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? "");
}

for (const page of ["README.md", "docs/operating.md"]) {
  test(`every command in ${page} is understood`, async () => {
    const commands = commandsIn(page);
    assert.ok(commands.length >= 5, `${page} has commands`);
    for (const command of commands) {
      const frame = recordedFrame();
      const status = await runCli(words(command), allVerbs(), frame);
      // The verbs of this test have no engine and fail; what was not understood fails before.
      assert.doesNotMatch(frame.stderr.written(), /code: config\./, `lifeboat ${command}`);
      assert.notEqual(status, EXIT.usage, `lifeboat ${command}`);
    }
  });
}
