import assert from "node:assert/strict";
import { test } from "node:test";
import { recordedSink } from "../../test/support/recorded-frame.ts";
import { createScreen } from "./screen.ts";

test("on a terminal a drawing takes the place of the one before, lines that wrap counted as what they take", () => {
  const sink = recordedSink({ isTerminal: true, columns: 10 });
  const screen = createScreen(sink);
  screen.draw("one\n\u001b[31mtwelve columns\u001b[0m\n");
  screen.draw("two");
  screen.draw("three");
  assert.equal(
    sink.written(),
    "one\n\u001b[31mtwelve columns\u001b[0m\n\n\u001b[4A\r\u001b[Jtwo\n\u001b[1A\r\u001b[Jthree\n",
  );
});

test("elsewhere nothing is ever taken back", () => {
  const sink = recordedSink();
  const screen = createScreen(sink);
  screen.draw("one");
  screen.draw("two");
  assert.equal(screen.redraws, false);
  assert.equal(sink.written(), "one\ntwo\n");
});
