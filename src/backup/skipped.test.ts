import assert from "node:assert/strict";
import { test } from "node:test";
import { isLifeboatError } from "../errors/error.ts";
import { checkSkipped } from "./skipped.ts";

const refuses = (warning: string): void =>
  assert.throws(
    () => checkSkipped([warning]),
    (error) => isLifeboatError(error, "backup.file-skipped"),
    warning,
  );

test("what belongs to the databases, and what is not understood, is refused, in any language", () => {
  refuses('skipping special file "./base/16384"');
  refuses("überspringe besondere Datei »./base/5/16385«");
  refuses("fichier spécial « ./global/1262 » ignoré");
  refuses('スペシャルファイル"./pg_xact/0000"をスキップしています');
  refuses('skipping special file "/srv/space/PG_18_202506291/5/16390"');
  refuses('skipping special file "pg_tblspc/16400/PG_18_202506291/5/16390"');
  refuses("skipping something");
});

test("what is none of their data is told, but for the server's sockets", () => {
  const warnings = ["./log", "./.s.PGSQL.5432", './my "own" notes', "./pg_log", "./postgresql.conf"];
  assert.deepEqual(checkSkipped(warnings.map((each) => `skipping special file "${each}"`)), [
    "log",
    'my "own" notes',
    "pg_log",
    "postgresql.conf",
  ]);
  const twice = 'skipping special file "./log"';
  assert.deepEqual(checkSkipped([twice, twice]), ["log"]);
  assert.deepEqual(checkSkipped([]), []);
});
