import assert from "node:assert/strict";
import { test } from "node:test";
import { writeDurable } from "./durable.ts";
import { faultyFiles } from "./faulty-files.ts";
import { memoryFiles } from "./memory-files.ts";

const MIB = 1024 * 1024;

test("a large file goes to the disk a MiB at a time, whatever its parts are", async () => {
  for (const parts of [[5 * MIB + 1], [MIB, MIB, MIB, MIB, MIB, 1], [3 * MIB, 2 * MIB + 1]]) {
    const { files, effects } = faultyFiles(memoryFiles().files);
    await files.makeFolder("/srv");
    const content = parts.map((sizeBytes, index) => Buffer.alloc(sizeBytes, index + 1));
    await writeDurable(files, { file: "/srv/a", parts: content, over: "new", unique: "x" });
    assert.ok((await files.readFile("/srv/a")).equals(Buffer.concat(content)));
    assert.equal(effects.filter(({ operation }) => operation === "write back").length, 5, String(parts));
  }
});
