import assert from "node:assert/strict";
import { test } from "node:test";
import { namesOf, rowsToJson } from "./json-rows.ts";

const COLUMNS = [
  { name: "id", typeId: 20 },
  { name: "price", typeId: 1700 },
  { name: "title", typeId: 25 },
  { name: "path", typeId: 1009 },
  { name: "at", typeId: 1184 },
  { name: "there", typeId: 16 },
  { name: "specs", typeId: 3802 },
];

test("values become JSON as their types have it, and null stays null", () => {
  const rows = [
    ["7", "129.90", 'a "b" \\ \n ü', '{Home,"Power, Tools","a\\"b"}', "2026-04-18 09:30:00.1+00", "t", '{"a": [1]}'],
    ["8", "0.50", null, "{}", null, "f", "{}"],
  ];
  assert.deepEqual(JSON.parse(rowsToJson(COLUMNS, rows, undefined)), [
    {
      id: 7,
      price: 129.9,
      title: 'a "b" \\ \n ü',
      path: ["Home", "Power, Tools", 'a"b'],
      at: "2026-04-18T09:30:00.1Z",
      there: true,
      specs: { a: [1] },
    },
    { id: 8, price: 0.5, title: null, path: [], at: null, there: false, specs: {} },
  ]);
  assert.equal(rowsToJson(COLUMNS, rows, new Set(["price", "id"])), '[{"id":7,"price":129.90},{"id":8,"price":0.50}]');
  assert.equal(rowsToJson(COLUMNS, [], undefined), "[]");
});

test("an array of texts is taken apart as it was written", () => {
  assert.deepEqual(namesOf('{a,"b c","d\\\\e",""}'), ["a", "b c", "d\\e", ""]);
});
