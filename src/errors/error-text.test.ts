import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { errorText } from "./error-text.ts";

test("an error says its message, anything else is text", () => {
  assert.equal(errorText(new RangeError("too far")), "too far");
  assert.equal(errorText("nonsense"), "nonsense");
  assert.equal(errorText(undefined), "undefined");
});

test("an error of a schema says in one line what is wrong where, and of very much the first few", () => {
  const record = z.strictObject({ name: z.string(), ports: z.array(z.int()) });
  const said = errorText(record.safeParse({ name: 1, ports: [5432, "x"] }).error);
  assert.match(said, /^name: [^;\n]+; ports\.1: [^;\n]+$/);
  assert.match(errorText(record.safeParse(7).error), /^[^:\n]+: expected object[^\n]*$/);
  const many = errorText(record.safeParse({ name: "a", ports: Array.from("0123456") }).error);
  assert.match(many, /ports\.4: [^;]+; 2 more$/);
});
