import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { systemProcesses } from "../src/platform/processes.ts";
import { bench, leftRunning, withFolder } from "../test/support/benchmarks.ts";
import { repetitions } from "../test/support/effort.ts";

const SMALL = ["backup", "--mib", "16", "--runs", "1"];

/** Nothing but the base, and what the test itself asked for. */
async function mustBeLeft(folder: string): Promise<void> {
  assert.deepEqual(await leftRunning(folder), []);
  const kept = (await readdir(folder)).filter((name) => name !== "lock" && name !== "result.json");
  assert.deepEqual(
    kept.map((name) => name.replace(/-[0-9a-f]{8}$/, "")),
    ["catalog-2gib-16mib-pg15"],
  );
}

// Both wait for servers to start more than they work.
describe("benchmarks", { concurrency: 2 }, () => {
  describe("of a base", { concurrency: 1 }, () => {
    /** Made by the first run here, used by all. */
    let shared = "";
    before(async () => {
      shared = await mkdtemp(path.join(tmpdir(), "bench-"));
      await chmod(shared, 0o755);
    });
    after(() => rm(shared, { recursive: true, force: true }));

    test("a small chain of backups is measured, from the full one to a restore in place", async () => {
      const json = path.join(shared, "result.json");
      const chain = ["delta", "--mib", "16", "--runs", "1", "--backups", "3", "--peers", "none"];
      const { status, output } = await bench([...chain, "--keep", "--folder", shared, "--json", json]);
      assert.equal(status, 0, output);
      assert.match(output, /nothing changed, wall time at most 1\.3 of the stream thrown away: [\d.]+ x/);
      assert.match(output, /restore in place after 1 % changed at most 3 s beyond starting: [\d.]+ s/);
      type Backup = { storedBytes: number; measured: { companionCpuMs: number } };
      type Chain = Record<"full" | "unchanged" | "updated", Backup[]> &
        Record<"first" | "last", unknown[]> & {
          inPlace: { startMs?: number; writtenBytes?: number }[];
        };
      const result: { chains: Chain[]; readers: { title: string }[] } = JSON.parse(await readFile(json, "utf8"));
      const [ours] = result.chains;
      assert.ok(ours !== undefined && result.chains.length === 1);
      assert.deepEqual(
        [ours.full, ours.unchanged, ours.updated, ours.first, ours.last, ours.inPlace].map(({ length }) => length),
        [1, 1, 1, 1, 1, 1],
      );
      const [full = 0, unchanged = 0, updated = 0] = [ours.full, ours.unchanged, ours.updated].map(
        ([backup]) => backup?.storedBytes ?? 0,
      );
      assert.ok(unchanged > 0 && unchanged < updated && updated < full, `${unchanged}, ${updated}, ${full}`);
      const { startMs = 0, writtenBytes = 0 } = ours.inPlace[0] ?? {};
      assert.ok(startMs > 0 && writtenBytes > 0, `${startMs} ms, ${writtenBytes} bytes`);
      assert.ok((ours.full[0]?.measured.companionCpuMs ?? 0) > 0, "the receiver's CPU time counts");
      assert.deepEqual(
        result.readers.map(({ title }) => title),
        ["stream thrown away", "pg_basebackup to /dev/null"],
      );
      const again = await bench(["delta", "--kept", "--runs", "1", "--folder", shared]);
      assert.equal(again.status, 0, again.output);
      assert.match(again.output, /restore in place after 1 % changed at most 3 s beyond starting: [\d.]+ s/);
      assert.doesNotMatch(again.output, /nothing changed/);
    });

    // This one and the receiver's are in the long run: a quarter of a minute each, for what is no part of the product.
    for (let count = 0; count < repetitions(0, 1); count += 1) {
      test("what clients wait for during a backup is measured", async () => {
        const load = ["during", "--mib", "16", "--runs", "1", "--seconds", "2", "--peers", "none"];
        const { status, output } = await bench([...load, "--folder", shared]);
        assert.equal(status, 0, output);
        assert.match(output, /^alone +[\d.]+ +[\d.]+ +\d+ +\d+ +-$/m);
        assert.match(output, /^Lifeboat +[\d.]+ +[\d.]+ +\d+ +\d+ +[\d.]+$/m);
        assert.match(output, /p99 during a backup at most 1\.5 of alone, .*: [\d.]+ x alone$/m);
        await mustBeLeft(shared);
      });
    }

    test("an interrupt amid a chain leaves no server, no receiver and no restored folder", async () => {
      const chain = ["delta", "--mib", "16", "--runs", "1", "--backups", "3", "--peers", "none"];
      const { status, output } = await bench(
        [...chain, "--folder", shared],
        (text, pid) => void (text.includes("full: Lifeboat") && systemProcesses.signal(pid, "SIGINT")),
      );
      assert.equal(status, 130, output);
      await mustBeLeft(shared);
    });
  });

  describe("by themselves", { concurrency: 1 }, () => {
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
        await mustBeLeft(folder);
      });
    });

    for (let count = 0; count < repetitions(0, 1); count += 1) {
      test("a receiver is measured beside pg_receivewal", async () => {
        await withFolder(async (folder) => {
          const { status, output } = await bench(["receive", "--runs", "1", "--seconds", "1", "--folder", folder]);
          assert.equal(status, 0, output);
          assert.match(output, /flush lag at p99 at most 1\.5 of pg_receivewal --synchronous's: [\d.]+ x/);
          assert.deepEqual(await leftRunning(folder), []);
        });
      });
    }

    test("an interrupt while the base is made leaves no process and no half base", async () => {
      await withFolder(async (folder) => {
        const { status, output } = await bench(
          [...SMALL, "--peers", "none", "--folder", folder],
          (text, pid) => void (text.includes("making") && systemProcesses.signal(pid, "SIGINT")),
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
        const foreign = await bench(["during", "--restore", ...at]);
        assert.match(foreign.output, /bench during has no option --restore/);
        const short = await bench(["delta", "--backups", "4", "--runs", "3", "--peers", "none", ...at]);
        assert.match(short.output, /--backups 4: must be at least 2 more than --runs, which is 3/);
        const all = [tooLarge, dry, mistyped, foreign, short];
        assert.deepEqual(
          all.map((ended) => ended.status),
          [2, 0, 2, 2, 2],
        );
        assert.deepEqual(await readdir(folder), []);
      });
    });
  });
});
