import assert from "node:assert/strict";
import { test } from "node:test";
import { createStyle, cut, printable, stripStyle, visibleWidth } from "./style.ts";
import { renderFacts, renderTable } from "./table.ts";

const plain = createStyle({ colours: false, columns: 80 });
const coloured = createStyle({ colours: true, columns: 80 });
const COLUMNS = [
  { title: "name", align: "left" },
  { title: "size", align: "right" },
  { title: "note", align: "left" },
] as const;

test("columns are as wide as their widest cell, numbers to the right, no spaces at line ends", () => {
  const rows = [
    ["hourly", "7 B", ""],
    ["w", "340 MiB", "old"],
  ];
  assert.equal(
    renderTable(COLUMNS, rows, plain),
    ["name       size  note", "hourly      7 B", "w       340 MiB  old"].join("\n"),
  );
});

test("painted cells take the same width as plain ones", () => {
  const rows = [[{ painted: coloured.good("ok") }, "1", "x"]];
  assert.equal(stripStyle(renderTable(COLUMNS, rows, coloured)), renderTable(COLUMNS, [["ok", "1", "x"]], plain));
  assert.equal(visibleWidth(coloured.bad("né")), 2);
});

test("what comes from outside cannot drive the terminal", () => {
  assert.equal(renderTable(COLUMNS, [["a\u001b[2J", "\n", "b"]], plain).includes("\u001b"), false);
  assert.equal(printable("a\tb\r\nc\u009b"), "a\\x09b\\x0d\nc\\x9b");
});

test("facts stand below each other", () => {
  assert.equal(
    renderFacts([
      ["label", "x"],
      ["a longer name", ""],
    ]),
    "label:          x\na longer name:",
  );
});

test("a text is cut with an ellipsis only where it is too long", () => {
  assert.equal(cut("abcdef", 6), "abcdef");
  assert.equal(cut("abcdef", 4), "abc…");
});
