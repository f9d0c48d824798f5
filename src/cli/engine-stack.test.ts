import assert from "node:assert/strict";
import { chown, mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { withFolder } from "../../test/support/backups.ts";
import { CommandLine } from "../../test/support/command-line.ts";
import { currentUid } from "../platform/run-as.ts";

const SOMEBODY = 65_534;

test("a stack whose records are all damaged is taken down and its logs are read, with each of them told; it is not started", async () => {
  await withFolder(async (folder) => {
    const line = new CommandLine(path.join(folder, "home"));
    const stack = path.join(folder, "state/stacks/shop");
    await mkdir(path.join(stack, "controller"), { recursive: true });
    await mkdir(path.join(stack, "supervisor/logs"), { recursive: true });
    for (const name of ["ports.json", "scale.json", "durability.json", "controller/record.json"]) {
      await writeFile(path.join(stack, name), "{");
    }
    await writeFile(path.join(stack, "supervisor/logs/db.log"), "what db said\n");
    const where = `--stack-name shop --folders-state ${path.join(folder, "state")}`;
    const down = await line.start(`down ${where}`).ended;
    assert.equal(down.status, 0, down.err);
    assert.match(down.out, /Stack shop was down/);
    const logs = await line.start(`logs db ${where}`).ended;
    assert.equal(logs.status, 0, logs.err);
    assert.match(logs.out, /what db said/);
    for (const { err } of [down, logs]) {
      for (const name of ["ports.json", "scale.json", "record.json"]) assert.ok(err.includes(name), err);
    }
    const exec = await line.start(`exec db ${where} -- true`).ended;
    assert.match(exec.err, /code: platform\.component-unknown/);
    assert.match((await line.start(`ps ${where}`).ended).err, /code: stack\.record-damaged/);
  });
});

test("whoever is not root has a stack of their own; root is told whose another one is", async () => {
  await withFolder(async (folder) => {
    const line = new CommandLine(path.join(folder, "home"));
    const stack = path.join(folder, "state/stacks/shop");
    await mkdir(stack, { recursive: true });
    const isRoot = currentUid() === 0;
    if (isRoot) await chown(stack, SOMEBODY, SOMEBODY);
    for (const verb of ["ps", "up", "down", "exec db", "restart db"]) {
      const rest = verb === "exec db" ? " -- true" : "";
      const { err } = await line.start(`${verb} --stack-name shop --folders-state ${path.join(folder, "state")}${rest}`)
        .ended;
      assert.equal(err.includes("stack.owned-by-another"), isRoot, `${verb}: ${err}`);
    }
  });
});
