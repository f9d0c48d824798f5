import assert from "node:assert/strict";
import { test } from "node:test";
import { MAJORS } from "../../src/postgres/installation.ts";
import { batchesOf, chooseFiles, majorsOf, stageOf } from "./stages.ts";

const FILES = [
  "src/wal/spool.test.ts",
  "src/wal/server-end.test.ts",
  "src/wal/spool.server.test.ts",
  "test/end-to-end/demo.test.ts",
];

test("the stage of a file follows from its name and folder", () => {
  assert.equal(stageOf("src/wal/spool.test.ts"), "unit");
  assert.equal(stageOf("src/wal/spool.server.test.ts"), "server");
  assert.equal(stageOf("test/end-to-end/demo.test.ts"), "end-to-end");
  assert.equal(stageOf("test/simulation/teeth.test.ts"), "simulation");
  assert.equal(stageOf("tools/tidy/names.test.ts"), "tidy");
  assert.equal(stageOf("src/wal/spool.ts"), undefined);
});

test("without a wish all files run, each in one stage", () => {
  assert.deepEqual([...chooseFiles(FILES, []).values()].flat().toSorted(), FILES.toSorted());
});

test("a stage or a part of a path chooses files, and a wish nothing answers chooses none", () => {
  assert.deepEqual([...chooseFiles(FILES, ["server"]).values()].flat(), ["src/wal/spool.server.test.ts"]);
  assert.deepEqual([...chooseFiles(FILES, ["wal/spool"]).values()].flat(), [FILES[0], FILES[2]]);
  assert.deepEqual([...chooseFiles(FILES, ["static"]).values()].flat(), []);
  assert.deepEqual([...chooseFiles(FILES, ["nothing"]).values()].flat(), []);
});

test("the long run has each file about kept, received and restored WAL and files on every supported major", () => {
  assert.deepEqual(majorsOf(["src/wal/receiver.server.test.ts"], { long: true }), MAJORS);
  assert.deepEqual(majorsOf(["src/wal/receiver.server.test.ts"], { long: false }), [undefined]);
  assert.deepEqual(majorsOf(["src/wal/spool.test.ts"], { long: true }), [undefined]);
  assert.deepEqual(majorsOf(["src/probe/probe.server.test.ts"], { long: true }), [undefined]);
});

test("files share a process, but for those that change it or whose tests a helper registers", () => {
  const sources = new Map([
    ["a", `import { test } from "node:test";`],
    ["b", `import { before, test } from "node:test";`],
    ["c", `import { test } from "node:test"; process.on("exit", () => undefined);`],
    ["d", `import { testStore } from "./conformance.ts";`],
    ["e", `import { describe, test } from "node:test"; process.pid;`],
    ["f", `import { type TestContext, test } from "node:test";`],
  ]);
  const read = (file: string) => sources.get(file) ?? "";
  assert.deepEqual(batchesOf([...sources.keys()], { together: 2, read }), [["b"], ["c"], ["d"], ["a", "e"], ["f"]]);
  assert.deepEqual(batchesOf(["a", "e"], { together: 1, read }), [["a"], ["e"]]);
});
