import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { isLifeboatError } from "../../src/errors/error.ts";
import { fetchNewerPgBackRest, hasNewerPgBackRest } from "./newer-pgbackrest.ts";

test("where the newer pgBackRest cannot be fetched the reason is returned, and nothing is left", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "newer-pgbackrest-"));
  try {
    const { signal } = new AbortController();
    const why = await fetchNewerPgBackRest(folder, { signal }, `file://${folder}/no-mirror`);
    assert.match(why ?? "", /apt-get/);
    assert.equal(await hasNewerPgBackRest(folder), false);
    assert.deepEqual(await readdir(path.join(folder, "tools")), []);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("an abort while it is fetched is no reason to go on without it", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "newer-pgbackrest-"));
  try {
    const fetching = fetchNewerPgBackRest(folder, { signal: AbortSignal.abort() }, `file://${folder}/no-mirror`);
    await assert.rejects(fetching, (error) => isLifeboatError(error, "platform.aborted"));
    assert.deepEqual(await readdir(path.join(folder, "tools")), []);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
