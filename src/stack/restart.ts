/** Restarts a component of a stack, and waits until it does its work again. */

import { LifeboatError } from "../errors/error.ts";
import type { ComponentName } from "./component-names.ts";
import { instancesOf } from "./instances.ts";
import { lowSpace } from "./low-space.ts";
import { refuseWhilePaused } from "./paused-poolers.ts";
import { startStepOf } from "./plan.ts";
import { startedSecrets } from "./primary.ts";
import { awaitEffect } from "./run-step.ts";
import { type MigrationTools, migrateDatabase } from "./service.ts";
import type { StepLookTools } from "./steps.ts";
import { type CallOptions, runningComponents } from "./tools.ts";

/** What restarting needs. */
export type RestartTools = StepLookTools & {
  /** Looked for only where the database may have to be brought to a newer schema. */
  readonly findMigrationTools: () => Promise<MigrationTools>;
};

/**
 * Restarts it as it was started last; of several poolers one after another, so that the others take new clients meanwhile.
 * Before the API the database is brought to the newest schema, which an instance that was upgraded waits for. Rejects as `startedSecrets`, with `platform.component-unknown` where it never was, with
 * `platform.component-fenced`, with `stack.busy` while somebody has the poolers paused, with `platform.disk-full` before anything is stopped that could not be started again, with `stack.schema-failed` before anything is restarted, or with `stack.step-failed` and the last words of its log.
 */
export async function restartComponent(
  tools: RestartTools,
  component: ComponentName,
  options: CallOptions,
): Promise<{ readonly durationMs: number }> {
  const begun = tools.clock.monotonic();
  // Without them nobody could see whether it works again.
  await startedSecrets(tools.files, tools.stack);
  if (component === "api" && (await canMigrate(tools, options))) {
    await migrateDatabase(await tools.findMigrationTools(), tools.stack, options);
  }
  if (component === "pgbouncer") await refuseWhilePaused(tools, tools.stack);
  await refuseOnFullDisk(tools, component, options);
  for (const name of instancesOf(tools.stack, component)) {
    await tools.platform.restart(name, options);
    await awaitEffect(tools, startStepOf(component, tools.stack), options);
  }
  return { durationMs: Math.round(tools.clock.monotonic() - begun) };
}

/** What a program writes before it works: a record of it, its log, a file of its number; of a node also WAL. */
const START_BYTES = 8 * 1024 * 1024;
const NODE_START_BYTES = 64 * 1024 * 1024;

/** What does not run is started, or tried to be: nothing is lost by that. */
async function refuseOnFullDisk(
  { files, platform, stack }: StepLookTools,
  component: ComponentName,
  options: CallOptions,
): Promise<void> {
  const running = await runningComponents(platform, options);
  if (!instancesOf(stack, component).some((name) => running.has(name))) return;
  const isNode = component === "db" || component === "db_replica";
  const low = await lowSpace(files, stack, isNode ? NODE_START_BYTES : START_BYTES);
  if (low === undefined) return;
  throw new LifeboatError("platform.disk-full", {
    message: `${component} runs and was not stopped, since it could not be started again: ${low.message}`,
    remedy: `Before it is restarted ${low.remedy}.`,
    retryable: true,
  });
}

/** Whether there is an API and a primary. Without a primary instances that fit are restarted all the same, and read from the replica. */
async function canMigrate({ platform, stack }: StepLookTools, options: CallOptions): Promise<boolean> {
  const states = await platform.state(options);
  const isThere = instancesOf(stack, "api").some((instance) => states.some(({ name }) => name === instance));
  const primaryRuns = states.some(({ name, mode }) => name === stack.primary && mode === "running");
  return isThere && primaryRuns && stack.recorded !== "unsettled";
}
