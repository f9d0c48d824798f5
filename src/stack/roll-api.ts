/**
 * Has the instances of the API that run read their file again: one after another, each once the one before serves.
 *
 * Restarted together none would serve for a second. One that does not serve again is the last that is touched: the others go on
 * with what they have read.
 */
import { isLifeboatError } from "../errors/error.ts";
import { instancesOf } from "./instances.ts";
import { askApi, awaitsSchema, type MigrationTools, migrateDatabase } from "./service.ts";
import type { StackDescription } from "./stack.ts";
import { type CallOptions, runningComponents, type StackTools } from "./tools.ts";

/** As long as a start waits for it. */
const READY_TIMEOUT_MS = 30_000;
const LOOK_INTERVAL_MS = 100;

/** What rolling needs. */
export type RollTools = MigrationTools & Pick<StackTools, "clock" | "platform"> & { readonly stack: StackDescription };

/** Rejects with `stack.service-not-ready`, `platform.no-answer` or, of an upgraded one, `stack.schema-failed`: nothing after it was touched. */
export async function rollApi(tools: RollTools, options: CallOptions): Promise<void> {
  const { platform, stack } = tools;
  const running = await runningComponents(platform, options);
  // Without a primary they would be waited for in vain, and whoever calls us is about to start it.
  const waits = running.has(stack.primary) && stack.recorded !== "unsettled";
  for (const name of instancesOf(stack, "api").filter((each) => running.has(each))) {
    await platform.restart(name, options);
    if (waits) await untilReady(tools, name, options);
  }
}

async function untilReady(tools: RollTools, name: string, options: CallOptions): Promise<void> {
  const { clock, stack } = tools;
  const deadline = clock.monotonic() + READY_TIMEOUT_MS;
  let mayMigrate = true;
  for (;;) {
    try {
      await askApi(stack, name, options);
      return;
    } catch (error) {
      if (isLifeboatError(error, "platform.aborted") || !isLifeboatError(error) || clock.monotonic() > deadline) {
        throw error;
      }
    }
    // It came back as the newer program of an upgrade.
    if (mayMigrate && (await awaitsSchema(stack, name, options))) {
      mayMigrate = false;
      await migrateDatabase(tools, stack, options);
    }
    await clock.sleep(LOOK_INTERVAL_MS, options);
  }
}
