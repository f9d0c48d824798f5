import assert from "node:assert/strict";
import { test } from "node:test";
import { isLifeboatError } from "../errors/error.ts";
import { parseInvariants } from "./invariants-file.ts";

test("invariants are read as they were written, in their order; an empty file has none", () => {
  const text = `
- name: every order has a customer
  database: shop
  noRows: SELECT o.id FROM orders o LEFT JOIN customers c ON c.id = o.customer WHERE c.id IS NULL
- name: there are products
  database: shop
  isTrue: |
    SELECT count(*) > 1000
      FROM products
`;
  assert.deepEqual(parseInvariants(text, "i.yaml"), [
    {
      name: "every order has a customer",
      database: "shop",
      expect: "no-rows",
      sql: "SELECT o.id FROM orders o LEFT JOIN customers c ON c.id = o.customer WHERE c.id IS NULL",
    },
    { name: "there are products", database: "shop", expect: "is-true", sql: "SELECT count(*) > 1000\n  FROM products" },
  ]);
  assert.deepEqual(parseInvariants("", "i.yaml"), []);
});

for (const [what, text, message] of [
  [
    "both kinds of SQL",
    "- {name: a, database: b, noRows: SELECT 1, isTrue: SELECT true}",
    /entry 1 cannot be understood/,
  ],
  ["no database", "- {name: a, noRows: SELECT 1}", /entry 1/],
  ["a key nobody knows", "- {name: a, database: b, noRows: SELECT 1, norows: x}", /entry 1/],
  ["no list", "name: a", /the whole/],
  ["no YAML", "- {", /is not a list of invariants/],
  [
    "more than anybody asks",
    `- {name: a, database: b, noRows: SELECT '${"x".repeat(256 * 1024)}'}`,
    /more than 262144/,
  ],
  ["a name twice", "- &a {name: a, database: b, noRows: SELECT 1}\n- *a", /two invariants called "a"/],
] as const) {
  test(`a file with ${what} is refused, and says where`, () => {
    assert.throws(
      () => parseInvariants(text, "i.yaml"),
      (error) => isLifeboatError(error, "proof.invariants-unreadable") && message.test(error.message),
    );
  });
}
