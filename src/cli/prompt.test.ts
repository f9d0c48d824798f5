import assert from "node:assert/strict";
import { test } from "node:test";
import { isLifeboatError } from "../errors/error.ts";
import type { Terminal } from "../platform/terminal.ts";
import { createPrompt } from "./prompt.ts";

/** Terminals that type the given pieces, one list for each question. */
function typing(...answers: readonly (readonly (string | undefined)[])[]) {
  let shown = "";
  const open: Terminal[] = [];
  let opened = 0;
  const terminal = (): Terminal => {
    const pieces = answers[opened] ?? [];
    opened += 1;
    const made: Terminal = {
      write: (text) => {
        shown += text;
      },
      onInput: (listener) => {
        for (const piece of pieces) queueMicrotask(() => listener(piece));
      },
      close: () => {
        open.splice(open.indexOf(made), 1);
      },
    };
    open.push(made);
    return made;
  };
  return { terminal, shown: () => shown, leftOpen: () => open.length, opened: () => opened };
}

const signal = new AbortController().signal;
const aborted = (error: unknown) => isLifeboatError(error, "platform.aborted");

test("a secret is read without showing it, with its corrections, and the terminal is given back", async () => {
  const person = typing(["hunte", "xx", "\u007f\b", "r2", "\r"]);
  const prompt = createPrompt(person.terminal, { signal });
  assert.equal(await prompt.secret("Passphrase: "), "hunter2");
  assert.equal(person.shown(), "Passphrase: \r\n");
  assert.equal(person.leftOpen(), 0);
});

test("Ctrl-U begins anew, arrow keys and pasted control characters are left out", async () => {
  const person = typing(["wrong\u0015ri\u001b[Dght\u0007\n"]);
  assert.equal(await createPrompt(person.terminal, { signal }).secret("? "), "right");
});

test("Ctrl-C, Ctrl-D and a terminal that goes away end the question, and the terminal is given back", async () => {
  for (const piece of ["abc\u0003", "\u0004", undefined]) {
    const person = typing([piece]);
    await assert.rejects(createPrompt(person.terminal, { signal }).secret("? "), aborted);
    assert.equal(person.leftOpen(), 0);
  }
});

test("an abort ends an open question, and no question is asked after one", async () => {
  const controller = new AbortController();
  const person = typing([]);
  const prompt = createPrompt(person.terminal, { signal: controller.signal });
  const asked = prompt.secret("? ");
  controller.abort();
  await assert.rejects(asked, aborted);
  assert.equal(person.leftOpen(), 0);
  await assert.rejects(prompt.secret("? "), aborted);
  assert.equal(person.opened(), 1);
});

test("a terminal that cannot be opened is an error of its own", async () => {
  await assert.rejects(createPrompt(() => undefined, { signal }).secret("? "), aborted);
});

test("a new secret is asked for until two answers agree, three times at most", async () => {
  const agrees = typing(["one\r"], ["two\r"], ["three\r"], ["three\r"]);
  assert.equal(await createPrompt(agrees.terminal, { signal }).newSecret("New: "), "three");
  const never = typing(["1\r"], ["2\r"], ["3\r"], ["4\r"], ["5\r"], ["6\r"]);
  await assert.rejects(createPrompt(never.terminal, { signal }).newSecret("New: "), (error) =>
    isLifeboatError(error, "config.secret-unusable"),
  );
});

test("a confirmation takes the word and nothing else, and shows what is typed", async () => {
  const request = { what: "This removes the vault shop.", word: "shop" };
  const yes = typing(["shop\r"]);
  await createPrompt(yes.terminal, { signal }).confirm(request);
  assert.ok(yes.shown().startsWith("This removes the vault shop.\r\nType shop to go on: "));
  assert.ok(yes.shown().includes("Type shop to go on: shop"));
  const no = typing(["y\r"]);
  await assert.rejects(createPrompt(no.terminal, { signal }).confirm(request), (error) =>
    isLifeboatError(error, "config.confirmation-refused"),
  );
});
