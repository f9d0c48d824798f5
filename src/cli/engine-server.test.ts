import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { recordedFrame } from "../../test/support/recorded-frame.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import { UNGOVERNED, writeMandate } from "../wal/mandate.ts";
import { meantServer } from "./engine-server.ts";
import { runCli } from "./run.ts";
import { defineVerb, type Verb } from "./verb.ts";

const TOOLS = { files: systemFiles, random: systemRandom };

/** A command that says where it would connect to. */
const where: Verb = defineVerb({
  path: ["backup"],
  summary: "",
  description: "",
  arguments: {},
  options: {},
  configuration: { kind: "checked", sections: ["server", "folders"] },
  examples: [],
  run: async ({ session }) => {
    const { address } = await meantServer({ config: await session.config(), session }, "test");
    return { json: undefined, text: `${address.host}:${address.port}` };
  },
});

test("a command connects to whom the receiver follows, unless its address is given by flag or variable", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-meant-"));
  const config = path.join(folder, "lifeboat.yaml");
  const ask = async (line: string, environment: Readonly<Record<string, string>> = {}): Promise<string> => {
    const frame = recordedFrame({ environment });
    await runCli([...line.split(" "), "--config", config], [where], frame);
    return `${frame.stdout.written()}${frame.stderr.written()}`;
  };
  try {
    const text = `server:\n  host: 127.0.0.1\n  port: 5432\nfolders:\n  state: ${folder}\n  spool: ${folder}\n`;
    await writeFile(config, text, { mode: 0o600 });
    const password = { LIFEBOAT_SERVER_PASSWORD: "x" };
    assert.equal(await ask("backup", password), "127.0.0.1:5432\n");
    const following = {
      ...UNGOVERNED,
      epoch: 8,
      reign: 8,
      upstream: { host: "127.0.0.1", port: 5433 },
      systemId: "1" as SystemId,
      timeline: 2 as Timeline,
      switchLsn: 8n as Lsn,
    };
    await writeMandate(TOOLS, folder, following);
    assert.equal(await ask("backup", password), "127.0.0.1:5433\n");
    assert.equal(await ask("backup --server-port 5432", password), "127.0.0.1:5432\n");
    assert.equal(await ask("backup", { ...password, LIFEBOAT_SERVER_PORT: "5432" }), "127.0.0.1:5432\n");
    await writeMandate(TOOLS, folder, { kind: "withdrawn", epoch: 9, contiguousWith: undefined });
    const refused = await ask("backup", password);
    assert.match(refused, /^error: who the primary is, is not settled: .*epoch 9/);
    assert.ok(refused.includes("stack.primary-unsettled"), refused);
  } finally {
    await rm(folder, { recursive: true });
  }
});
