import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { writingProgram } from "./gap-fill.ts";

const SEGMENT = "000000010000000000000002";
const SEGMENT_BYTES = 1024 * 1024;
const PAGE = Buffer.alloc(8192, "wal");

/** Runs the program as a server does, in a data directory whose commands are written down; the first word of each, and what it is told. */
async function recorded(folder: string, page: number): Promise<readonly string[]> {
  const log = path.join(folder, "log");
  const commands = path.join(folder, "commands");
  await mkdir(commands, { recursive: true });
  await writeFile(log, "");
  for (const name of ["dd", "mv", "sync"]) {
    const real = execFileSync("/bin/sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
    const script = `#!/bin/sh\necho "${name} $*" >> '${log}'\nexec ${real} "$@"\n`;
    await writeFile(path.join(commands, name), script, { mode: 0o755 });
  }
  const program = writingProgram({ segment: SEGMENT, page, walSegmentBytes: SEGMENT_BYTES });
  execFileSync("/bin/sh", ["-c", program], {
    cwd: folder,
    input: `${PAGE.toString("base64")}\n`,
    env: { ...process.env, PATH: `${commands}:${process.env["PATH"]}` },
  });
  return (await readFile(log, "utf8")).trim().split("\n");
}

test("a segment that a node never had is synced before it has its name, its name before pages are written, and these when it ends", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-gap-"));
  try {
    await mkdir(path.join(folder, "pg_wal"));
    const [zeros = "", renamed = "", named = "", pages = "", ...rest] = await recorded(folder, 3);
    assert.match(zeros, /^dd if=\/dev\/zero .*conv=fsync$/);
    assert.match(renamed, /^mv pg_wal\/\w+\.lifeboat pg_wal\/\w+$/);
    assert.equal(named, "sync pg_wal");
    assert.match(pages, /^dd of=.* seek=3 conv=notrunc,fsync$/);
    assert.deepEqual(rest, []);
    const written = await readFile(path.join(folder, "pg_wal", SEGMENT));
    assert.equal(written.byteLength, SEGMENT_BYTES);
    assert.ok(
      written.subarray(3 * 8192, 4 * 8192).equals(PAGE) && written.subarray(4 * 8192).every((byte) => byte === 0),
    );
    // One that is there is only written to.
    const [again = "", ...none] = await recorded(folder, 5);
    assert.match(again, /^dd of=.* seek=5 conv=notrunc,fsync$/);
    assert.deepEqual(none, []);
  } finally {
    await rm(folder, { recursive: true });
  }
});
