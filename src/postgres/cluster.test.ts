import assert from "node:assert/strict";
import { test } from "node:test";
import { isLifeboatError } from "../errors/error.ts";
import { formatSettings } from "./cluster.ts";

test("settings are written one a line, quoted so that the server reads the same", () => {
  const text = formatSettings({
    port: 5432,
    fsync: false,
    "auto_explain.log_analyze": true,
    cluster_name: "it's \\ here",
  });
  assert.deepEqual(text.split("\n").slice(1), [
    "port = 5432",
    "fsync = off",
    "auto_explain.log_analyze = on",
    "cluster_name = 'it''s \\\\ here'",
    "",
  ]);
});

test("names and values that would change the meaning of the file are refused", () => {
  for (const settings of [
    { "a = 1\nfsync": "off" },
    { "": 1 },
    { "a.b.c": 1 },
    { work_mem: Number.NaN },
    { cluster_name: "a'\nfsync = off" },
  ]) {
    assert.throws(
      () => formatSettings(settings),
      (error) => isLifeboatError(error, "postgres.setting-invalid"),
      JSON.stringify(settings),
    );
  }
});
