/** What `demo` does. */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { runDemo as tellDemo } from "../demo/demo.ts";
import type { ProgramPaths } from "../demo/receiver.ts";
import type { RunDemo } from "./demo.ts";
import { MACHINE } from "./engine-machine.ts";

/** The receiver of an async demo is late by this, where nothing else is configured: on one machine it would hardly lose a write. */
const ASYNC_DELAY_MS = 1_500;

/** Runs the demo. */
export const runDemo: RunDemo = async ({ config, session, choice }) => {
  const configured = config.receiver.delay;
  const facts = await tellDemo(
    {
      ...MACHINE,
      clock: session.clock,
      program: programPaths(),
      notice: session.notice,
      progress: (progress) => session.progress.report(progress),
    },
    {
      sandbox: config.folders.sandbox,
      binFolder: config.postgres.binDir,
      runAs: config.postgres.runAs,
      receiverDelayMs: choice.durability === "async" && configured === 0 ? ASYNC_DELAY_MS : configured,
      bootTimeoutMs: config.restore.bootTimeout,
    },
    { choice, signal: session.signal },
  );
  // Sets the closing note off from what was told on the way.
  if (!session.json) session.notice("");
  return facts;
};

/** How this program is started again. In a clone the sources run as they are; in the npm package everything is bundled into dist/. */
export function programPaths(): ProgramPaths & { readonly supervisor: string; readonly installer: string } {
  const here = fileURLToPath(import.meta.url);
  const beside = (name: string) => path.join(path.dirname(here), name);
  const sources = here.endsWith(".ts");
  return {
    node: process.execPath,
    nodeArguments: ["--disable-warning=ExperimentalWarning"],
    cli: beside(sources ? "main.ts" : "lifeboat.js"),
    probe: beside(sources ? "../probe/main.ts" : "probe.js"),
    // Lies beside the launcher in both.
    installer: beside(sources ? "../../bin/install-programs" : "../bin/install-programs"),
    supervisor: beside(sources ? "../platform/local/main.ts" : "supervisor.js"),
    command: sources ? beside("../../bin/lifeboat") : "lifeboat",
  };
}
