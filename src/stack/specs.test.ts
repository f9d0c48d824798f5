import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { only } from "../../test/support/failover-ports.ts";
import { testStack } from "../../test/support/stacks.ts";
import { RECEIVER_NODE_ARGUMENTS } from "../wal/receiver-heap.ts";
import { componentSpec } from "./specs.ts";
import type { StackPrograms } from "./tools.ts";

test("a receiver has the same heap whether a stack starts it or the launcher", async () => {
  const lifeboat = { command: "node", args: ["main.ts"] };
  const programs = only<StackPrograms>("programs", { lifeboat, lifeboatAsUser: false });
  const spec = componentSpec(testStack(), "receiver", { programs, user: undefined });
  assert.deepEqual(spec.arguments.slice(0, RECEIVER_NODE_ARGUMENTS.length + 1), [
    ...RECEIVER_NODE_ARGUMENTS,
    "main.ts",
  ]);
  const launcher = await readFile(path.join(import.meta.dirname, "../../bin/lifeboat"), "utf8");
  const [, verbs = "", heap] = /^(.*\|.*)\) heap=(\S+) ;;$/m.exec(launcher) ?? [];
  assert.ok(verbs.split(" | ").includes("wal"), verbs);
  assert.equal(heap, RECEIVER_NODE_ARGUMENTS.join(" "));
});
