/** What `demo` does. */
import { runDemo as tellDemo } from "../demo/demo.ts";
import type { RunDemo } from "./demo.ts";
import { MACHINE } from "./engine-machine.ts";
import { programPaths } from "./program-paths.ts";

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
