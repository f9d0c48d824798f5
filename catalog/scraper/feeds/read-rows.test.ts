import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isLifeboatError } from "../../../src/errors/error.ts";
import { repetitions, testSeed } from "../../../test/support/effort.ts";
import { mutated } from "../../../test/support/mutations.ts";
import { FEED_FORMATS, type FeedFormat, type FeedRow, ROW_CHARACTERS_MAX } from "./feed.ts";
import { readRows } from "./read-rows.ts";
import { feedText, type WrittenRow } from "./write-rows.ts";

const COLUMNS = ["id", "title", "description", "price", "link"];

async function* cut(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let from = 0, index = 0; from < bytes.byteLength; index += 1) {
    const size = sizes[index % sizes.length] ?? bytes.byteLength;
    yield bytes.subarray(from, from + size);
    from += size;
  }
}

async function rowsOf(bytes: Uint8Array, format: FeedFormat, sizes: readonly number[] = [4096]): Promise<FeedRow[]> {
  const rows: FeedRow[] = [];
  for await (const group of readRows(cut(bytes, sizes), format)) rows.push(...group);
  return rows;
}

function written(rows: readonly WrittenRow[], format: FeedFormat): Buffer {
  const text = feedText(format, { title: "Pasar & Sons", columns: COLUMNS });
  return Buffer.from(text.head + rows.map((row) => text.row(row)).join("") + text.tail);
}

async function faultOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (!isLifeboatError(error)) throw new Error("no error of ours", { cause: error });
  return error.code;
}

// What feeds hold: letters of any script, quotes, delimiters, line ends and markup; no character that XML forbids.
const signs = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      '"',
      '""',
      ",",
      "\t",
      "\n",
      "\r",
      "\r\n",
      "]]>",
      "<b>",
      "&amp;",
      "&",
      "g:id",
      "é",
      "漢",
      "😀",
      "\ufeff",
    ),
  },
);
const forbidden = /[^\P{Cc}\t\n\r]|[\p{Cs}\p{Cn}]/u;
const value = fc
  .array(signs, { minLength: 1, maxLength: 6 })
  .map((parts) => parts.join("").trim())
  .filter((text) => text !== "" && !forbidden.test(text));
const row: fc.Arbitrary<WrittenRow> = fc.record(
  { id: value, title: value, description: value, price: value, link: value },
  { requiredKeys: ["id"] },
);

test("what was written is read again in every format, wherever the chunks are cut", async () => {
  const property = fc.asyncProperty(
    fc.constantFrom(...FEED_FORMATS),
    fc.array(row, { minLength: 1, maxLength: 8 }),
    fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
    async (format, rows, sizes) => {
      const read = await rowsOf(written(rows, format), format, sizes);
      const expected = rows.map((each, index) => ({ kind: "row", number: index + 1, fields: each }));
      const plain = read.map((each) =>
        each.kind === "row" ? { ...each, fields: Object.fromEntries(each.fields) } : each,
      );
      assert.deepEqual(
        plain,
        expected.map((each) => ({ ...each, fields: { ...each.fields } })),
      );
    },
  );
  await fc.assert(property, { numRuns: repetitions(60), seed: testSeed() });
});

test("any bytes are read or refused with an error of ours, and cutting them elsewhere gives the same", async () => {
  const rows: readonly WrittenRow[] = [
    {
      id: "A-1",
      title: 'Kettle, 1.7 "L"',
      description: "two\r\nlines & <b>",
      price: "15.00 SGD",
      link: "https://a.sg/1",
    },
    { id: "A-2", title: "漢字 😀", price: "249000 VND" },
  ];
  const outcome = async (bytes: Uint8Array, format: FeedFormat, sizes: readonly number[]): Promise<unknown> => {
    try {
      return await rowsOf(bytes, format, sizes);
    } catch (error) {
      // Of two faults, which one is met first depends on how far ahead of the parser the bytes are decoded.
      if (isLifeboatError(error) && error.code.startsWith("feed.")) return "refused";
      throw new Error(`${format}: ${Buffer.from(bytes).toString("hex")}`, { cause: error });
    }
  };
  for (const format of FEED_FORMATS) {
    const sample = written(rows, format);
    for (let stream = 0; stream < repetitions(100); stream += 1) {
      const bytes = mutated(sample, testSeed(), stream);
      assert.deepEqual(await outcome(bytes, format, [1]), await outcome(bytes, format, [7, 64]), `${format} ${stream}`);
    }
  }
});

test("CSV: marks, line ends, blank lines and quotes over lines are read as RFC 4180 and spreadsheets write them", async () => {
  const text = '\ufeffID,"Image Link",g:title\r\n1,"a\r\n""b"", c",x\n\n2,,24" monitor\r3,z,\r\n4,"q"x,y\r\n5,y';
  assert.deepEqual(
    (await rowsOf(Buffer.from(text), "csv")).map((each) => (each.kind === "row" ? [...each.fields] : each.reason)),
    [
      [
        ["id", "1"],
        ["image_link", 'a\r\n"b", c'],
        ["title", "x"],
      ],
      [
        ["id", "2"],
        ["title", '24" monitor'],
      ],
      [
        ["id", "3"],
        ["image_link", "z"],
      ],
      "row-malformed",
      "columns-differ",
    ],
  );
});

test("NDJSON: a line that is no object is a broken row, and its neighbours are not", async () => {
  const long = `{"id":"${"x".repeat(ROW_CHARACTERS_MAX)}"}`;
  const text = `{"id":7,"sale":false,"category":["Home","Pots"],"price":{"amount":1.5,"currency":"SGD"},"__proto__":{"a":"b"}}\n[1]\n{"id":\n${long}\n\n{"id":"9"}`;
  assert.deepEqual(
    (await rowsOf(Buffer.from(text), "ndjson")).map((each) => (each.kind === "row" ? [...each.fields] : each.reason)),
    [
      [
        ["id", "7"],
        ["sale", "false"],
        ["category", "Home > Pots"],
        ["price.amount", "1.5"],
        ["price.currency", "SGD"],
        ["__proto__.a", "b"],
      ],
      "row-malformed",
      "row-malformed",
      "row-too-long",
      [["id", "9"]],
    ],
  );
});

test("XML of Google: RSS and Atom, any prefix for the namespace, members of attributes, Google's word before RSS's", async () => {
  const text = `<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom" xmlns:goo="http://base.google.com/ns/1.0">
    <title>not a row</title><entry><title>Plain</title><goo:title><![CDATA[Best <b>]]></goo:title><link href="https://a.sg/1"/>
    <goo:id>1</goo:id><goo:shipping><goo:country>SG</goo:country><goo:price>2 SGD</goo:price></goo:shipping>
    <goo:image_link>a</goo:image_link><goo:image_link>b</goo:image_link></entry></feed>`;
  const [first] = await rowsOf(Buffer.from(text), "google-xml");
  assert.ok(first?.kind === "row");
  assert.deepEqual(Object.fromEntries(first.fields), {
    title: "Best <b>",
    link: "https://a.sg/1",
    id: "1",
    "shipping.country": "SG",
    "shipping.price": "2 SGD",
    image_link: "a",
  });
});

test("a feed that is wrong as a whole is refused by the name of its fault", async () => {
  const bomb = `<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><r>&b;</r>`;
  const cases: readonly (readonly [string, FeedFormat, string | Buffer])[] = [
    ["feed.forbidden-markup", "google-xml", bomb],
    ["feed.malformed", "google-xml", `<rss>&lol;</rss>`],
    ["feed.malformed", "google-xml", `<rss><channel><item><title>cut`],
    ["feed.malformed", "google-xml", "<a>".repeat(40)],
    ["feed.malformed", "google-xml", ""],
    ["feed.malformed", "google-xml", `<rss a="${"x".repeat(200_000)}"/>`],
    // Each is compared with all before it until the tag ends: minutes, for a million of them.
    ["feed.malformed", "google-xml", `<rss ${'a="" '.repeat(20_000)}></rss>`],
    ["feed.not-text", "google-xml", `<?xml version="1.0" encoding="windows-1252"?><rss/>`],
    ["feed.not-text", "csv", Buffer.from([0x69, 0x64, 0x0a, 0xff, 0xfe])],
    ["feed.not-text", "ndjson", Buffer.from([0xe6, 0xbc])],
    ["feed.malformed", "csv", 'id,title\n1,"open'],
    ["feed.header-wrong", "csv", "id,title,ID\n"],
    ["feed.header-wrong", "google-tsv", "id\t\n"],
    ["feed.header-wrong", "csv", ""],
    ["feed.row-too-long", "csv", `id\n"${"x\n".repeat(ROW_CHARACTERS_MAX)}`],
    ["feed.row-too-long", "csv", `id\n${",".repeat(300)}`],
  ];
  for (const [code, format, feed] of cases) {
    assert.equal(await faultOf(rowsOf(Buffer.from(feed), format)), code, `${format}: ${String(feed).slice(0, 60)}`);
  }
});

test("memory stays at a piece and a row, however long the feed is", async () => {
  const line = `${JSON.stringify({ id: "1", title: "x".repeat(200) })}\n`;
  const chunk = Buffer.from(line.repeat(2_000));
  const many = async function* (): AsyncGenerator<Uint8Array> {
    for (let index = 0; index < 2; index += 1) yield chunk;
  };
  let count = 0;
  for await (const group of readRows(many(), "ndjson")) {
    assert.ok(group.length <= 400, `${group.length} rows at a time`);
    count += group.length;
  }
  assert.equal(count, 4_000);
});
