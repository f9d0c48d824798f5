import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { isLifeboatError } from "../errors/error.ts";
import { type FileFacts, systemFiles } from "../platform/files.ts";
import { type ConfigFiles, type LoadRequest, loadConfig, loadSettings } from "./load.ts";

async function inFolder(work: (folder: string, request: LoadRequest) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "lifeboat-config-"));
  try {
    await work(folder, {
      configFile: undefined,
      flags: {},
      environment: {},
      place: {
        uid: process.getuid?.() === 0 ? 0 : (process.getuid?.() ?? 0),
        home: folder,
        stateHome: path.join(folder, "state"),
        dataHome: path.join(folder, "data"),
        configHome: path.join(folder, "config"),
      },
      workingFolder: folder,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("the file of the working folder is found, and relative paths in it start there", async () => {
  await inFolder(async (folder, request) => {
    await writeFile(path.join(folder, "lifeboat.yaml"), "vault: {path: v}\n", { mode: 0o600 });
    const loaded = await loadSettings(systemFiles, request);
    assert.equal(loaded.file, path.join(folder, "lifeboat.yaml"));
    assert.equal((await loadConfig(systemFiles, request)).vault.path, path.join(folder, "v"));
  });
});

test("without a file the defaults hold", async () => {
  await inFolder(async (_, request) => {
    const loaded = await loadSettings(systemFiles, { ...request, place: { ...request.place, uid: 1000 } });
    assert.equal(loaded.file, undefined);
    assert.deepEqual(loaded.problems, []);
  });
});

test("a named file must be there, by flag or by variable, and the flag goes first", async () => {
  await inFolder(async (folder, request) => {
    const missing = (error: unknown) => isLifeboatError(error, "config.file-missing") && error.message.includes(folder);
    await assert.rejects(loadSettings(systemFiles, { ...request, configFile: "a.yaml" }), missing);
    const environment = { LIFEBOAT_CONFIG: "a.yaml" };
    await assert.rejects(loadSettings(systemFiles, { ...request, environment }), missing);
    await writeFile(path.join(folder, "b.yaml"), "");
    const loaded = await loadSettings(systemFiles, { ...request, environment, configFile: "b.yaml" });
    assert.equal(loaded.file, path.join(folder, "b.yaml"));
  });
});

test("an empty name, a pipe and a device are refused instead of taken for a file without settings; /dev/null is none", async () => {
  await inFolder(async (folder, request) => {
    await writeFile(path.join(folder, "lifeboat.yaml"), "vault: {path: v}\n", { mode: 0o600 });
    const load = (configFile: string) => loadSettings(systemFiles, { ...request, configFile });
    await assert.rejects(load(""), (error) => isLifeboatError(error, "config.file-missing"));
    execFileSync("mkfifo", [path.join(folder, "pipe")]);
    // Opened for both, so that nobody waits for the other end.
    const held = await open(path.join(folder, "pipe"), "r+");
    await assert.rejects(load("pipe"), (error) => isLifeboatError(error, "config.file-unreadable"));
    await held.close();
    await assert.rejects(load("/dev/zero"), (error) => isLifeboatError(error, "config.file-unreadable"));
    assert.deepEqual((await load("/dev/null")).problems, []);
    assert.notEqual(
      (await loadConfig(systemFiles, { ...request, configFile: "/dev/null" })).vault.path,
      path.join(folder, "v"),
    );
  });
});

test("a file that others may write is used only when it is named", async () => {
  await inFolder(async (folder, request) => {
    const file = path.join(folder, "lifeboat.yaml");
    await writeFile(file, "");
    await chmod(file, 0o666);
    await assert.rejects(loadSettings(systemFiles, request), (error) => isLifeboatError(error, "config.file-unsafe"));
    assert.equal((await loadSettings(systemFiles, { ...request, configFile: file })).file, file);
  });
});

test("a file that belongs to another user is used only when it is named", async () => {
  await inFolder(async (folder, request) => {
    await writeFile(path.join(folder, "lifeboat.yaml"), "", { mode: 0o600 });
    const foreign = (facts: FileFacts | undefined) => (facts === undefined ? undefined : { ...facts, uid: 4242 });
    const files: ConfigFiles = { open: systemFiles.open, stat: async (file) => foreign(await systemFiles.stat(file)) };
    await assert.rejects(
      loadSettings(files, request),
      (error) => isLifeboatError(error, "config.file-unsafe") && error.message.includes("user 4242"),
    );
  });
});

test("a folder, a huge file and bytes that are not text are refused by name", async () => {
  await inFolder(async (folder, request) => {
    const refused = (error: unknown) => isLifeboatError(error, "config.file-unreadable");
    await mkdir(path.join(folder, "d"));
    await writeFile(path.join(folder, "huge"), Buffer.alloc(64 * 1024 + 1, 32));
    await writeFile(path.join(folder, "bytes"), Buffer.from([0xff, 0xfe, 0x00]));
    for (const configFile of ["d", "huge", "bytes"]) {
      await assert.rejects(loadSettings(systemFiles, { ...request, configFile }), refused, configFile);
    }
  });
});

test("a configuration with mistakes is one error that lists all of them", async () => {
  await inFolder(async (folder, request) => {
    await writeFile(path.join(folder, "lifeboat.yaml"), "server: {port: x, hots: y}\n", { mode: 0o600 });
    await assert.rejects(loadConfig(systemFiles, request), (error) => {
      assert.ok(isLifeboatError(error, "config.invalid"));
      assert.match(error.message, /2 problems/);
      assert.match(error.message, /lifeboat\.yaml:1:19: server\.hots/);
      assert.match(error.message, /lifeboat\.yaml:1:16: server\.port/);
      assert.equal(Object.keys(error.details).length, 2);
      return true;
    });
  });
});
