import assert from "node:assert/strict";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { Worker } from "node:worker_threads";
import { GOLDEN_SEGMENT, GOLDEN_SERVER } from "../../test/golden/make-vault.ts";
import { repetitions } from "../../test/support/effort.ts";
import { FAIL_AT, FAIL_WHEN, type FileCall, WITHOUT_SYNC_OF } from "../../test/support/watched-file-calls.ts";
import { CONTROL_FILE_PATH } from "../postgres/control-file.ts";

const root = path.resolve(import.meta.dirname, "../..");
const folder = mkdtempSync(path.join(tmpdir(), "lifeboat-cuts-"));
after(() => rmSync(folder, { recursive: true }));
const vault = path.join(folder, "vault");
cpSync(path.join(root, "test/golden/vault-1"), vault, { recursive: true });
const key = path.join(folder, "recovery-key");
writeFileSync(key, "H7G4-WV83-5114-XVQZ-WS3J-HFAE-DX93-KENA-ZA\n");
/** Two folders deep where nothing is: what makes them has to see to their names, too. */
const above = path.join(folder, "new");
const target = path.join(above, "data");
const control = path.join(target, CONTROL_FILE_PATH);

/** Calls are alike but for the last ones. */
const STRIDE = Math.ceil(24 / repetitions(1, 24));
const LAST_CALLS = 6;

type Ended = { readonly status: number; readonly said: string; readonly calls: readonly FileCall[] };

/** Runs the program in a thread of its own, watched. */
async function restore(environment: Readonly<Record<string, string>>): Promise<Ended> {
  rmSync(above, { recursive: true, force: true });
  const worker = new Worker(path.join(root, "src/standalone/main.ts"), {
    argv: ["--vault", vault, "--target", target, "--recovery-key-file", key],
    execArgv: [`--import=${new URL("../../test/support/watched-file-calls.ts", import.meta.url).href}`],
    env: { ...process.env, ...environment },
    stderr: true,
  });
  const calls: FileCall[] = [];
  let said = "";
  worker.on("message", (call: FileCall) => calls.push(call));
  worker.stderr.on("data", (text: Buffer) => {
    said += text;
  });
  const [status] = await once(worker, "exit");
  return { status, said, calls };
}

function assertWhole(): void {
  for (const file of GOLDEN_SERVER.files) {
    if (file.kind !== "file") continue;
    assert.ok(readFileSync(path.join(target, file.path)).equals(file.content), file.path);
  }
  assert.ok(readFileSync(path.join(target, "pg_wal", GOLDEN_SEGMENT.segment)).equals(GOLDEN_SEGMENT.bytes));
  assert.ok(existsSync(path.join(target, "recovery.signal")));
}

for (const when of ["before", "after"] as const) {
  test(`a disk that fails at one call after the other, ${when} it was done: it is told, and the folder is whole or cannot start`, async () => {
    const quiet = await restore({});
    assert.equal(quiet.status, 0, quiet.said);
    assertWhole();
    const count = quiet.calls.length;
    assert.ok(count > 60, `only ${count} calls`);
    for (let at = when === "before" ? 1 : 7; at <= count; at += at < count - LAST_CALLS ? STRIDE : 1) {
      const { status, said } = await restore({ [FAIL_AT]: String(at), [FAIL_WHEN]: when });
      const call = JSON.stringify(quiet.calls[at - 1]);
      assert.equal(status, 1, `call ${at}, ${call}`);
      assert.match(said, /EIO, as planned/, call);
      if (existsSync(control)) assertWhole();
      else assert.ok(at < count, call);
    }
  });
}

/** What a power cut could take at that moment: bytes and names that no sync has made stable. */
function unsyncedAfter(calls: readonly FileCall[]): ReadonlySet<string> {
  const bytes = new Set<string>();
  const names = new Set<string>();
  for (const { kind, path: at, to, from = at } of calls) {
    if (kind === "sync") for (const each of [bytes, names]) each.delete(at);
    if (kind === "write" || kind === "make") bytes.add(at);
    if (kind !== "write" && kind !== "sync") names.add(path.dirname(at));
    if (to !== undefined) names.add(path.dirname(to));
    // Each folder on the way to it that was not there.
    for (let up = at; up !== from; up = path.dirname(up)) names.add(path.dirname(path.dirname(up)));
  }
  return new Set([...bytes, ...names]);
}

/** What is not on stable storage when the control file gets its name, and at the end. */
function lostBy(calls: readonly FileCall[]): readonly string[] {
  const named = calls.findIndex(({ to }) => to === control);
  assert.ok(named > 0, "the control file gets its name");
  const before = [...unsyncedAfter(calls.slice(0, named))].filter((each) => each !== path.dirname(control));
  return [...before, ...unsyncedAfter(calls)];
}

test("when the control file gets its name all else is on stable storage, and is not without the syncs of any one function", async () => {
  assert.deepEqual(lostBy((await restore({})).calls), []);
  const functions = ["#close", "makeEntry", "writeDurably", "makeRoot", "syncFolders", "restore"];
  for (const name of functions) {
    const { status, calls } = await restore({ [WITHOUT_SYNC_OF]: name });
    assert.deepEqual([status, lostBy(calls).length > 0], [0, true], name);
  }
  const text = readFileSync(path.join(root, "src/standalone/main.ts"), "utf8");
  // Those functions and `syncFolder`, which four of them call: one more would have to stand above.
  assert.equal([...text.matchAll(/fsyncSync\(/g)].length, 4);
  assert.equal([...text.matchAll(/syncFolders?\(/g)].length, 7);
});
