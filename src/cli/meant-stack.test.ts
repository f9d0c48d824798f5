import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { STREAMING_REPORT } from "../../test/support/receiver-report.ts";
import { temporaryFolder } from "../../test/support/receivers.ts";
import { recordedFrame } from "../../test/support/recorded-frame.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { renderLifeboatConfig } from "../stack/receiver-config.ts";
import { writeReport } from "../wal/report.ts";
import { doctorVerb } from "./doctor.ts";
import { diagnoseConfigured } from "./engine-doctor.ts";
import { describedStack } from "./engine-stack.ts";
import { lookAtStatus } from "./engine-status.ts";
import { lookAtWal } from "./engine-wal.ts";
import { ofMeantStack } from "./meant-stack.ts";
import { runCli } from "./run.ts";
import { statusVerb } from "./status.ts";
import { defineVerb, type Verb } from "./verb.ts";
import { walStatusVerb } from "./wal.ts";

const TOOLS = { files: systemFiles, random: systemRandom };
const DESCRIBES = "stack:\n  name: shop\n  dbPort: 1\nfolders:\n  state: state\n";

/** A folder with the file that describes a stack, and in it the stack, as far as it was made. */
async function describedFolder(text = DESCRIBES) {
  const temporary = await temporaryFolder("meant");
  const { folder } = temporary;
  const stack = path.join(folder, "state/stacks/shop");
  await writeFile(path.join(folder, "lifeboat.yaml"), text, { mode: 0o600 });
  const run = async (verb: Verb, args: readonly string[] = []) => {
    const frame = recordedFrame({ workingFolder: folder });
    await runCli([...verb.path, ...args, "--config", path.join(folder, "lifeboat.yaml")], [verb], frame);
    return { out: frame.stdout.written(), told: frame.stderr.written() };
  };
  const start = async () => {
    await mkdir(path.join(stack, "config/receiver"), { recursive: true });
    await mkdir(path.join(stack, "spool"));
    await mkdir(path.join(stack, "secrets"));
    await writeFile(path.join(stack, "secrets/backup"), "backup\n", { mode: 0o600 });
    await writeFile(path.join(stack, "config/receiver/lifeboat.yaml"), "");
    await writeReport(TOOLS, path.join(stack, "spool"), STREAMING_REPORT);
  };
  return { run, start, stack, [Symbol.asyncDispose]: () => temporary[Symbol.asyncDispose]() };
}

test("status, wal status and doctor judge the stack that a configuration describes, once it was made, and say so", async () => {
  await using described = await describedFolder();
  const { run, start, stack } = described;
  assert.match((await run(walStatusVerb(lookAtWal))).out, /never ran with this spool/);
  await start();
  const looks = [walStatusVerb(lookAtWal), statusVerb(lookAtStatus), doctorVerb(diagnoseConfigured)];
  for (const verb of looks) {
    const { out, told } = await run(verb, ["--json"]);
    assert.match(told, new RegExp(`stack shop.*${stack}/config/receiver/lifeboat.yaml`), verb.path.join(" "));
    assert.ok(out.includes('"kind":"not-running"') || out.includes(`${stack}/vault`), `${verb.path}: ${out}${told}`);
  }
});

test("of the stack's settings it takes what the stack's own file says, and all else of what was asked", async () => {
  await using described = await describedFolder(`${DESCRIBES}status:\n  backupMaxAge: 7d\n`);
  await described.start();
  const texts: string[] = [];
  const compare = defineVerb({
    path: ["status"],
    summary: "",
    description: "",
    arguments: {},
    options: {},
    configuration: { kind: "checked", sections: [] },
    examples: [],
    run: async ({ session }) => {
      const config = await session.config();
      texts.push(renderLifeboatConfig(describedStack(config)));
      return { json: (await ofMeantStack({ config, session })).config, text: "" };
    },
  });
  const { out } = await described.run(compare, ["--json"]);
  const [text = ""] = texts;
  const own = await describedFolder(text);
  const [written, meant] = [(await own.run(compare, ["--json"])).out, out].map((each) => JSON.parse(each));
  await own[Symbol.asyncDispose]();
  // How often the receiver tells the server is its own affair.
  delete written.receiver.statusInterval;
  delete meant.receiver.statusInterval;
  for (const section of ["server", "vault", "receiver"]) assert.deepEqual(meant[section], written[section], section);
  assert.deepEqual([meant.folders.state, meant.folders.spool], [written.folders.state, written.folders.spool]);
  assert.equal(meant.status.backupMaxAge, 7 * 24 * 3_600_000);
});

test("a configuration that says what is protected means that, whatever stack is beside it", async () => {
  await using described = await describedFolder(`${DESCRIBES}vault:\n  path: vault\n`);
  await described.start();
  const { out, told } = await described.run(walStatusVerb(lookAtWal));
  assert.match(out, /never ran with this spool/);
  assert.equal(told, "");
});
