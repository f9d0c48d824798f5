import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const SAY = new URL("say.ts", import.meta.url).href;

/** A program, whose output goes where the shell leads it. */
const program = async (text: string, to: string) =>
  await run("/bin/sh", [
    "-c",
    `exec "$0" --disable-warning=ExperimentalWarning --input-type=module -e "$1" ${to}`,
    process.execPath,
    text,
  ]);

test("a program that cannot write its log lives on; one that cannot begin says why in three lines and no stack", async () => {
  const lives = `import { say } from ${JSON.stringify(SAY)}; for (let n = 0; n < 3; n++) say("a line"); say("a mistake", "err");`;
  await program(lives, ">/dev/full 2>/dev/full");
  const errors = new URL("../errors/error.ts", import.meta.url).href;
  const fails = `import { orSayWhy } from ${JSON.stringify(SAY)}; import { LifeboatError } from ${JSON.stringify(errors)};
    await orSayWhy(async () => { throw new LifeboatError("platform.file-missing", { message: "no file", remedy: "Look." }); });`;
  await assert.rejects(program(fails, ""), (error: Error & { readonly code?: unknown; readonly stderr?: unknown }) => {
    assert.equal(error.code, 1);
    assert.equal(error.stderr, "error: no file\nremedy: Look.\ncode: platform.file-missing\n");
    return true;
  });
});
