/**
 * Has programs of the service that run read their file again. Of the API one instance after another, each once the one before serves.
 *
 * Restarted together none would serve for a second. One that does not serve again is the last that is touched: the others go on
 * with what they have read.
 */
import { isLifeboatError } from "../errors/error.ts";
import type { Clock } from "../platform/clock.ts";
import { instancesOf, scraperSocketOf } from "./instances.ts";
import { askApi, askService, awaitsSchema, type MigrationTools, migrateDatabase } from "./service.ts";
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
  const waits = canServe(stack, running);
  for (const name of instancesOf(stack, "api").filter((each) => running.has(each))) {
    await platform.restart(name, options);
    if (waits) await untilReady(tools, name, options);
  }
}

/** The same for one that is alone. Rejects with `stack.service-not-ready` or `platform.no-answer`. */
export async function restartAlone(
  { clock, platform, stack }: Pick<RollTools, "clock" | "platform" | "stack">,
  name: "mcp" | "scraper-scheduler",
  options: CallOptions,
): Promise<void> {
  const isWaitedFor = canServe(stack, await runningComponents(platform, options));
  await platform.restart(name, options);
  if (!isWaitedFor) return;
  const to = name === "mcp" ? { host: "127.0.0.1", port: stack.ports.mcp } : { socket: scraperSocketOf(stack) };
  await untilServes(clock, options, () => askService(name, to, options));
}

/** Without a primary, and a pooler before it, they would be waited for in vain, and whoever calls us is about to start those. */
function canServe(stack: StackDescription, running: ReadonlySet<string>): boolean {
  const isReached = instancesOf(stack, "pgbouncer").some((name) => running.has(name));
  return isReached && running.has(stack.primary) && stack.recorded !== "unsettled";
}

const isFinal = (error: unknown): boolean => isLifeboatError(error, "platform.aborted") || !isLifeboatError(error);

async function untilReady(tools: RollTools, name: string, options: CallOptions): Promise<void> {
  const { clock, stack } = tools;
  let mayMigrate = true;
  const migrateOnce = async (): Promise<void> => {
    // It came back as the newer program of an upgrade.
    if (!mayMigrate || !(await awaitsSchema(stack, name, options))) return;
    mayMigrate = false;
    await migrateDatabase(tools, stack, options);
  };
  await untilServes(clock, options, () => askApi(stack, name, options), migrateOnce);
}

/** Asks until it is answered, or the time is over; `meanwhile` is done after each answer that was none. */
async function untilServes(
  clock: Clock,
  options: CallOptions,
  ask: () => Promise<void>,
  meanwhile: () => Promise<void> = async () => undefined,
): Promise<void> {
  const deadline = clock.monotonic() + READY_TIMEOUT_MS;
  for (;;) {
    try {
      await ask();
      return;
    } catch (error) {
      if (isFinal(error) || clock.monotonic() > deadline) throw error;
    }
    await meanwhile();
    await clock.sleep(LOOK_INTERVAL_MS, options);
  }
}
