import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseRelationPath } from "./relation-file.ts";

describe("the path of a relation's file", () => {
  test("tells tablespace, database, relation, fork and segment", () => {
    const main = { fork: "main", segment: 0, temporary: false } as const;
    const cases = new Map<string, ReturnType<typeof parseRelationPath>>([
      ["base/5/16384", { tablespaceOid: 1663, databaseOid: 5, relfilenode: 16384, ...main }],
      ["base/5/16384.12", { tablespaceOid: 1663, databaseOid: 5, relfilenode: 16384, ...main, segment: 12 }],
      [
        "base/5/16384_vm.1",
        { tablespaceOid: 1663, databaseOid: 5, relfilenode: 16384, ...main, fork: "vm", segment: 1 },
      ],
      ["base/5/16384_fsm", { tablespaceOid: 1663, databaseOid: 5, relfilenode: 16384, ...main, fork: "fsm" }],
      ["base/5/16384_init", { tablespaceOid: 1663, databaseOid: 5, relfilenode: 16384, ...main, fork: "init" }],
      ["global/1262", { tablespaceOid: 1664, databaseOid: 0, relfilenode: 1262, ...main }],
      ["base/5/t3_16384", { tablespaceOid: 1663, databaseOid: 5, relfilenode: 16384, ...main, temporary: true }],
      [
        "pg_tblspc/16385/PG_16_202307071/5/16390",
        { tablespaceOid: 16385, databaseOid: 5, relfilenode: 16390, ...main },
      ],
    ]);
    for (const [path, expected] of cases) assert.deepEqual(parseRelationPath(path), expected, path);
  });

  test("is of no other file", () => {
    const paths = [
      "base/5/PG_VERSION",
      "global/pg_control",
      "pg_xact/0000",
      "base/16384",
      "base/5/16384_other",
      "base/5/16384.",
      "x/base/5/1",
    ];
    for (const path of paths) assert.equal(parseRelationPath(path), undefined, path);
  });
});
