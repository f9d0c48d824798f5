import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { systemProcesses } from "../src/platform/processes.ts";

const MAIN = path.join(import.meta.dirname, "main.ts");
const SMALL = ["backup", "--mib", "16", "--runs", "1"];

type Ended = { readonly status: number | null; readonly output: string };

/** Runs the benchmarks in a folder that other users may enter. */
async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "bench-"));
  await chmod(folder, 0o755);
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function bench(args: readonly string[], onLine: (line: string, pid: number) => void = () => {}): Promise<Ended> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", MAIN, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      lines.push(line);
      onLine(line, child.pid ?? 0);
    });
  }
  const [status] = await once(child, "close");
  return { status, output: lines.join("\n") };
}

async function leftRunning(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => path.basename(name) === "postmaster.pid");
}

test("a small run measures Lifeboat beside pg_basebackup and leaves the base alone", async () => {
  await withFolder(async (folder) => {
    const json = path.join(folder, "result.json");
    const more = ["--restore", "--peers", "pg_basebackup", "--folder", folder, "--json", json];
    const { status, output } = await bench([...SMALL, ...more]);
    assert.equal(status, 0, output);
    assert.match(output, /Lifeboat against +wall/);
    assert.match(output, /^Lifeboat +[\d.]+ +[\d.]+ +[\d.]+ +\d+$/m, "a restore is measured");
    assert.match(output, /^kept +peak memory below 400 MiB/m);
    const result: { sizes: { tools: { title: string; runs: { storedBytes: number }[] }[] }[] } = JSON.parse(
      await readFile(json, "utf8"),
    );
    const [ours, peer] = result.sizes[0]?.tools ?? [];
    assert.deepEqual([ours?.title, peer?.title], ["Lifeboat", "pg_basebackup tar"]);
    const [oursBytes = 0, peerBytes = 0] = [ours, peer].map((tool) => tool?.runs[0]?.storedBytes ?? 0);
    assert.ok(oursBytes > 1e6 && oursBytes < peerBytes / 2, `${oursBytes} of ${peerBytes}`);
    assert.deepEqual(await leftRunning(folder), []);
    const kept = (await readdir(folder)).filter((name) => name !== "lock" && name !== "result.json");
    assert.deepEqual(
      kept.map((name) => name.replace(/-[0-9a-f]{8}$/, "")),
      ["catalog-2gib-16mib-pg15"],
    );
  });
});

test("a receiver is measured beside pg_receivewal", async () => {
  await withFolder(async (folder) => {
    const { status, output } = await bench(["receive", "--runs", "1", "--seconds", "1", "--folder", folder]);
    assert.equal(status, 0, output);
    assert.match(output, /flush lag at p99 at most 1\.5 of pg_receivewal --synchronous's: [\d.]+ x/);
    assert.deepEqual(await leftRunning(folder), []);
  });
});

test("an interrupt while the base is made leaves no process and no half base", async () => {
  await withFolder(async (folder) => {
    const { status, output } = await bench(
      [...SMALL, "--peers", "none", "--folder", folder],
      (line, pid) => void (line.startsWith("making") && systemProcesses.signal(pid, "SIGINT")),
    );
    assert.equal(status, 130, output);
    assert.deepEqual(await readdir(folder), ["lock"]);
  });
});

test("what cannot be measured is refused before anything is made", async () => {
  await withFolder(async (folder) => {
    const at = ["--folder", folder];
    const tooLarge = await bench(["backup", "--mib", "1000000", "--peers", "none", ...at]);
    assert.match(tooLarge.output, /too little disk: .* are free below .*, .* are needed/);
    const dry = await bench([...SMALL, "--dry-run", ...at]);
    assert.match(dry.output, /make a PostgreSQL 15 cluster of 16 MiB/);
    const mistyped = await bench(["backup", "--peers", "barman", ...at]);
    assert.match(mistyped.output, /--peers barman: must be pg_basebackup, pgbackrest, pgbackrest-block or none/);
    assert.deepEqual([tooLarge.status, dry.status, mistyped.status], [2, 0, 2]);
    assert.deepEqual(await readdir(folder), []);
  });
});
