import assert from "node:assert/strict";
import { test } from "node:test";
import { namesOf, type RawRow, rowsToJson, textOf } from "./json-rows.ts";

const COLUMNS = [
  { name: "id", typeId: 20 },
  { name: "price", typeId: 1700 },
  { name: "title", typeId: 25 },
  { name: "path", typeId: 1009 },
  { name: "at", typeId: 1184 },
  { name: "there", typeId: 16 },
  { name: "specs", typeId: 3802 },
];

/** As a DataRow message has it, behind something else. */
function rowOf(values: readonly (string | null)[]): RawRow {
  const parts = values.map((value) => {
    const text = Buffer.from(value ?? "");
    const length = Buffer.alloc(4);
    length.writeInt32BE(value === null ? -1 : text.length);
    return Buffer.concat([length, text]);
  });
  const body = Buffer.concat([Buffer.from([0, values.length]), ...parts]);
  const bytes = Buffer.concat([Buffer.from("..D____"), body]);
  bytes.writeUInt32BE(4 + body.length, 3);
  return { bytes, start: 7 };
}

const ROWS = [
  [
    "7",
    "129.90",
    'a "b" \\ \n \u0001 ü 茶',
    '{Home,"Power, Tools","a\\"b"}',
    "2026-04-18 09:30:00.1+00",
    "t",
    '{"a": [1]}',
  ],
  ["8", "0.50", null, "{}", null, "f", "{}"],
].map(rowOf);

test("values become JSON as their types have it, and null stays null", () => {
  assert.deepEqual(JSON.parse(rowsToJson({ columns: COLUMNS, rows: ROWS }, () => true).toString()), [
    {
      id: 7,
      price: 129.9,
      title: 'a "b" \\ \n \u0001 ü 茶',
      path: ["Home", "Power, Tools", 'a"b'],
      at: "2026-04-18T09:30:00.1Z",
      there: true,
      specs: { a: [1] },
    },
    { id: 8, price: 0.5, title: null, path: [], at: null, there: false, specs: {} },
  ]);
  const some = rowsToJson({ columns: COLUMNS, rows: ROWS }, (name) => name === "price" || name === "id").toString();
  assert.equal(some, '[{"id":7,"price":129.90},{"id":8,"price":0.50}]');
  const none = rowsToJson({ columns: COLUMNS, rows: [] }, () => true, { before: '{"ü":', behind: "}" });
  assert.equal(none.toString(), '{"ü":[]}');
  assert.deepEqual(
    ROWS.map((row) => textOf(COLUMNS, row, "there")),
    ["t", "f"],
  );
  assert.deepEqual(
    [ROWS[1] && textOf(COLUMNS, ROWS[1], "title"), ROWS[0] && textOf(COLUMNS, ROWS[0], "none")],
    [null, null],
  );
});

test("text of every length is written as JSON.stringify writes it", () => {
  const strange = Array.from({ length: 0x80 }, (_, code) => String.fromCharCode(code)).join("");
  const texts = [strange, '"'.repeat(100_000), "ü".repeat(50_000), "", strange.repeat(700)];
  const rows = texts.map((text) => rowOf([text]));
  const json = rowsToJson({ columns: [{ name: "t", typeId: 25 }], rows }, () => true).toString();
  assert.equal(json, JSON.stringify(texts.map((t) => ({ t }))));
  const columns = [{ name: "p", typeId: 1009 }];
  const wide = rowsToJson({ columns, rows: [rowOf([`{${"ab,".repeat(60_000)}c}`])] }, () => true);
  assert.equal(JSON.parse(wide.toString())[0].p.length, 60_001);
});

test("an array of texts is taken apart as it was written", () => {
  assert.deepEqual(namesOf('{a,"b c","d\\\\e",""}'), ["a", "b c", "d\\e", ""]);
});
