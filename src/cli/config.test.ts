import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { allVerbs } from "../../test/support/all-verbs.ts";
import { matchesGolden } from "../../test/support/golden.ts";
import { recordedFrame } from "../../test/support/recorded-frame.ts";
import { EXIT } from "../errors/entry.ts";
import { runCli } from "./run.ts";

const YAML = `server:
  host: db.example
  port: "54x"
vault:
  path: /mnt/vault
  passphraseFile: /run/secrets/vault
  color: blue
`;

async function explain(args: readonly string[], environment: Record<string, string> = {}) {
  const folder = await mkdtemp(path.join(os.tmpdir(), "lifeboat-explain-"));
  try {
    await writeFile(path.join(folder, "shop.yaml"), YAML);
    const frame = recordedFrame({ workingFolder: folder, environment });
    const status = await runCli(["config", "explain", ...args], allVerbs(), frame);
    assert.equal(frame.stderr.written(), "");
    return { status, out: frame.stdout.written().replaceAll(folder, "/here") };
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("every setting is shown with its source, secrets as stars, and all mistakes, with status 2", async () => {
  const environment = { PGPASSWORD: "hunter2", LIFEBOAT_BACKUP_MAX_RATE: "50MiB" };
  const args = ["--config", "shop.yaml", "--vault-recovery-key-file", "/root/shop.key"];
  const { status, out } = await explain(args, environment);
  assert.equal(status, EXIT.usage);
  assert.doesNotMatch(out, /hunter2/);
  matchesGolden("results/config-explain.txt", out);
});

test("the same as JSON names flag and variable of each setting", async () => {
  const { out } = await explain(["--config", "shop.yaml", "--json"], { PGPASSWORD: "hunter2" });
  assert.doesNotMatch(out, /hunter2/);
  const explained = JSON.parse(out);
  assert.deepEqual(explained.settings[1], {
    path: "server.port",
    value: "54x",
    source: "file",
    where: "shop.yaml:3:9",
    flag: "--server-port",
    environment: "LIFEBOAT_SERVER_PORT",
  });
  assert.equal(explained.problems.length, 2);
});

test("without a file it says where one was looked for", async () => {
  const frame = recordedFrame();
  assert.equal(await runCli(["config", "explain"], allVerbs(), frame), 0);
  assert.match(
    frame.stdout.written(),
    /^No configuration file in \/nonexistent or \/home\/alice\/\.config\/lifeboat\.\n/,
  );
});
