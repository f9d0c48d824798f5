import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { systemProcesses } from "../platform/processes.ts";
import { findInstallation, type InstallationRequest, MAJORS } from "./installation.ts";

const PORTS = { files: systemFiles, processes: systemProcesses };

async function withPrograms(
  programs: Record<string, string>,
  body: (
    root: string,
    find: (wanted: InstallationRequest["wanted"]) => ReturnType<typeof findInstallation>,
  ) => Promise<void>,
): Promise<void> {
  const root = await mkdtemp(path.join(tmpdir(), "lifeboat-installation-"));
  try {
    for (const [folder, answer] of Object.entries(programs)) {
      await mkdir(path.join(root, folder), { recursive: true });
      await writeFile(path.join(root, folder, "postgres"), `#!/bin/sh\necho "${answer}"\n`);
      await chmod(path.join(root, folder, "postgres"), 0o755);
    }
    const places = { bundledFolder: path.join(root, "bundled"), systemFolder: path.join(root, "system") };
    await body(root, (wanted) => {
      const request = { wanted, user: undefined, cacheFolder: path.join(root, "cache"), unique: "test" };
      return findInstallation(PORTS, { ...request, ...places });
    });
  } finally {
    await rm(root, { recursive: true });
  }
}

test("a major is looked for among the bundled programs first, then among the system's", async () => {
  const bundled = `bundled/postgresql-17-${process.arch}/native/bin`;
  const programs = {
    [bundled]: "postgres (PostgreSQL) 17.10",
    "system/17/bin": "postgres (PostgreSQL) 17.9 (Debian 17.9-1)",
    "system/16/bin": "postgres (PostgreSQL) 16.14 (Debian 16.14-1)",
  };
  await withPrograms(programs, async (root, find) => {
    assert.deepEqual(await find({ major: 17 }), {
      major: 17,
      version: "17.10",
      binFolder: path.join(root, bundled),
      source: "bundled",
    });
    assert.deepEqual(await find({ major: 16 }), {
      major: 16,
      version: "16.14",
      binFolder: path.join(root, "system/16/bin"),
      source: "system",
    });
    assert.equal((await find({ binFolder: path.join(root, "system/17/bin") })).source, "named");
  });
});

test("programs that are not there are missed by every place that was looked at", async () => {
  await withPrograms({}, async (root, find) => {
    await assert.rejects(find({ major: 15 }), (error) => {
      assert.ok(isLifeboatError(error, "postgres.installation-missing"));
      assert.ok(
        error.message.includes(path.join(root, "bundled")) && error.message.includes(path.join(root, "system")),
      );
      return true;
    });
    await assert.rejects(find({ binFolder: "/nonexistent/bin" }), (error) =>
      isLifeboatError(error, "postgres.installation-missing"),
    );
  });
});

test("another version than wanted, one that is not supported, and another program are refused", async () => {
  const programs = {
    "system/16/bin": "postgres (PostgreSQL) 15.1",
    "old/bin": "postgres (PostgreSQL) 14.22",
    "beta/bin": "postgres (PostgreSQL) 19beta1",
    "other/bin": "something else 16.1",
  };
  await withPrograms(programs, async (root, find) => {
    await assert.rejects(find({ major: 16 }), /PostgreSQL 15\.1, wanted 16/);
    for (const folder of ["old/bin", "beta/bin"]) {
      await assert.rejects(find({ binFolder: path.join(root, folder) }), (error) =>
        isLifeboatError(error, "postgres.version-unsupported"),
      );
    }
    await assert.rejects(find({ binFolder: path.join(root, "other/bin") }), /does not answer --version/);
  });
});

test("every supported version comes with the tool chain", async () => {
  for (const major of MAJORS) {
    const cacheFolder = "/nonexistent";
    const found = await findInstallation(PORTS, { wanted: { major }, user: undefined, cacheFolder, unique: "test" });
    assert.equal(found.major, major);
    assert.equal(found.source, "bundled");
    assert.match(found.version, new RegExp(`^${major}\\.\\d+$`));
  }
});
