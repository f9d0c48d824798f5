/** The program of the scraper-scheduler: `main.ts SERVICE-FILE NAME PORT-OR-SOCKET`. SIGTERM ends it: sources under way are given back. */
import { hostname } from "node:os";
import { errorText } from "../../src/errors/error-text.ts";
import { systemClock as clock } from "../../src/platform/clock.ts";
import { endOnSignal } from "../../src/platform/end-on-signal.ts";
import { systemFiles as files } from "../../src/platform/files.ts";
import { parseListenAt, readyToListen } from "../../src/platform/listen-at.ts";
import { systemRandom as random } from "../../src/platform/random.ts";
import { orSayWhy, say } from "../../src/platform/say.ts";
import { openRedis } from "../cache/open-redis.ts";
import { READ_LIMIT_MS } from "../database/reads.ts";
import { RetryBudget } from "../database/retry-budget.ts";
import { Way } from "../database/way.ts";
import { Writes } from "../database/writes.ts";
import { MIGRATIONS } from "../schema/migrations.ts";
import { SchemaWatch } from "../schema/schema-watch.ts";
import { readSecret, readServiceFile, secretInFile } from "../settings/service-file.ts";
import { servePages } from "./pages.ts";
import { type Log, Scheduler } from "./scheduler.ts";
import { describeSources, generatedSources } from "./sources/described.ts";
import { Warmer } from "./warmer/warmer.ts";

/** Sources at a time, claims and the sweep. */
const WAY_WIDTH = 6;
/** A stack that comes up starts its daemon, and proves itself, in less. */
const START_AFTER_MS = 5_000;
/** A stack that comes up brings the schema and a primary within seconds. */
const DESCRIBE_EVERY_MS = 500;
/** The generated merchants change their prices every quarter of an hour. */
const GENERATED_RUN_MS = 15 * 60_000;

const [file = "", name = "scraper-scheduler", at = "8090"] = process.argv.slice(2);

/** All that is read from files: without it nothing begins. */
const { settings, password, redis, operatorKey } = await orSayWhy(async () => {
  const settings = await readServiceFile(files, file);
  return {
    settings,
    password: await secretInFile(files, settings.database.passwordFile),
    redis: await openRedis({ clock, files }, settings.redis),
    operatorKey: settings.operatorKeyFile === undefined ? undefined : await readSecret(files, settings.operatorKeyFile),
  };
});
const { database, scraper } = settings;
const log: Log = (event, fields) => say(JSON.stringify({ at: new Date(clock.now()).toISOString(), event, ...fields }));

const way = new Way("database", clock, {
  host: database.host,
  port: database.port,
  user: database.user,
  password,
  database: database.name,
  width: WAY_WIDTH,
  tell: (what) => log("database", { what }),
});
way.start();
const transactions = new Writes({ clock, random, way, budget: new RetryBudget(clock) });
const ask = async (text: string, values: readonly unknown[] = []) =>
  await way.rows(text, values, { limitMs: READ_LIMIT_MS });
const schema = new SchemaWatch({ clock, ask }, { wanted: MIGRATIONS.length, tell: (what) => log("schema", { what }) });
schema.start();
const authorization = operatorKey === undefined ? undefined : `Bearer ${operatorKey}`;

const scheduler = new Scheduler(
  {
    clock,
    random,
    files,
    transactions,
    feedsFolder: scraper?.feedsFolder ?? "/nonexistent",
    generatedRunMs: GENERATED_RUN_MS,
  },
  {
    holder: `${name}@${hostname()}:${process.pid}`,
    concurrency: scraper?.concurrency ?? 2,
    startAfterMs: START_AFTER_MS,
    log,
    schema,
  },
);
const warmer =
  scraper?.api === undefined
    ? undefined
    : new Warmer({
        clock,
        api: scraper.api,
        authorization,
        ask,
        isRedisThere: () => redis?.answers ?? true,
        log,
      });
const pages = await servePages({ scheduler, schema, warmer }, await readyToListen(files, parseListenAt(at)));
say(`${name} listens at ${at}`);

const stop = new AbortController();
/** Sources are described when the database is there and has its schema, however long that takes. */
const begin = async (): Promise<void> => {
  const named = scraper?.sources ?? [];
  const generated = scraper?.generated === true ? generatedSources() : [];
  // One of the same name stands in for a generated one.
  const sources = [...generated.filter(({ name }) => !named.some((each) => each.name === name)), ...named];
  while (!stop.signal.aborted) {
    if (!schema.isThere) {
      await clock.sleep(DESCRIBE_EVERY_MS, { signal: stop.signal }).catch(() => undefined);
      continue;
    }
    try {
      await transactions.run(async (session) => await describeSources(session, sources), { repeatable: true });
      break;
    } catch (error) {
      log("database-away", { why: errorText(error) });
      await clock.sleep(DESCRIBE_EVERY_MS, { signal: stop.signal }).catch(() => undefined);
    }
  }
  if (stop.signal.aborted) return;
  scheduler.start();
  warmer?.start();
};
const begun = begin();

endOnSignal(async () => {
  stop.abort();
  await begun;
  await Promise.all([scheduler.stop(), warmer?.stop(), schema.stop()]);
  pages.close();
  redis?.stop();
  await way.stop();
});
