import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { isLifeboatError } from "../src/errors/error.ts";
import { NEWER_PGBACKREST } from "./backup-tools/newer-pgbackrest.ts";
import { fetchDebian13, hasDebian13 } from "./debian-13.ts";

test("where a program of Debian 13 cannot be fetched the reason is returned, and nothing is left", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "debian-13-"));
  try {
    const { signal } = new AbortController();
    const why = await fetchDebian13(folder, NEWER_PGBACKREST, { signal }, `file://${folder}/no-mirror`);
    assert.match(why ?? "", /apt-get/);
    assert.equal(await hasDebian13(folder, NEWER_PGBACKREST), false);
    assert.deepEqual(await readdir(path.join(folder, "tools")), []);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("an abort while it is fetched is no reason to go on without it", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "debian-13-"));
  try {
    const fetching = fetchDebian13(
      folder,
      NEWER_PGBACKREST,
      { signal: AbortSignal.abort() },
      `file://${folder}/no-mirror`,
    );
    await assert.rejects(fetching, (error) => isLifeboatError(error, "platform.aborted"));
    assert.deepEqual(await readdir(path.join(folder, "tools")), []);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
