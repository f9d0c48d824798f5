import assert from "node:assert/strict";
import { test } from "node:test";
import { syncCallsOf, syncsRule } from "./syncs.ts";

const SOURCE = `
class Spool {
  async #settle(current: Current): Promise<void> {
    await current.handle.sync();
    await current.handle
      .sync();
    await this.#sync();
  }
}
function put(files: Files): Promise<void> {
  return files.syncFolder("/a");
}
`;

const check = (page: string) =>
  syncsRule(
    new Map([
      ["src/wal/spool.ts", SOURCE],
      ["src/wal/spool.test.ts", "src/wal/spool.ts settle: sync 1, and src/wal/spool.ts settle: sync 2"],
      ["docs/formats/durability.md", page],
    ]),
  ).map(({ message }) => message);

const row = (label: string, test: string) => `| \`src/wal/spool.ts ${label}\` | ${test} | why |`;
const SETTLE = [row("settle: sync 1", "`src/wal/spool.test.ts`"), row("settle: sync 2", "`src/wal/spool.test.ts`")];

test("syncs are found with their function and lines, and numbered where two are alike", () => {
  const found = syncCallsOf(new Map([["src/wal/spool.ts", SOURCE]]));
  assert.deepEqual(
    found.map(({ label, firstLine, lastLine }) => [label.slice("src/wal/spool.ts ".length), firstLine, lastLine]),
    [
      ["settle: sync 1", 4, 4],
      ["settle: sync 2", 5, 6],
      ["put: syncFolder", 11, 11],
    ],
  );
});

test("a sync without a row, and a row without a sync, are refused", () => {
  assert.deepEqual(check([...SETTLE, row("put: syncFolder", "none: it says why")].join("\n")), []);
  assert.equal(check(SETTLE.join("\n")).length, 1);
  assert.equal(check([...SETTLE, row("put: syncFolder", "none"), row("gone: sync", "none")].join("\n")).length, 1);
});

test("a row whose test does not speak of the sync is refused", () => {
  assert.equal(check([...SETTLE, row("put: syncFolder", "`src/wal/spool.test.ts`")].join("\n")).length, 1);
  assert.equal(check([...SETTLE, row("put: syncFolder", "`src/wal/gone.test.ts`")].join("\n")).length, 1);
});
