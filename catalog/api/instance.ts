/** One instance of the API: its parts in the order in which they start, and the other way round. */
import type { FastifyInstance } from "fastify";
import { networksOf } from "../../src/platform/caller-address.ts";
import type { Clock } from "../../src/platform/clock.ts";
import type { Files } from "../../src/platform/files.ts";
import { type ListenAt, readyToListen } from "../../src/platform/listen-at.ts";
import type { RandomSource } from "../../src/platform/random.ts";
import { Answers } from "../cache/answers.ts";
import { MemoryCopies } from "../cache/copies.ts";
import { openRedis } from "../cache/open-redis.ts";
import { PrimaryPositions } from "../database/behind.ts";
import { HedgedReads, READ_LONGEST_MS } from "../database/reads.ts";
import { RetryBudget } from "../database/retry-budget.ts";
import { Way } from "../database/way.ts";
import { Writes, writeLongestMs } from "../database/writes.ts";
import { KnownKeys } from "../keys/known-keys.ts";
import { Limits } from "../keys/limits.ts";
import { MIGRATIONS } from "../schema/migrations.ts";
import { SchemaWatch } from "../schema/schema-watch.ts";
import { readSecret, type ServiceSettings, secretInFile } from "../settings/service-file.ts";
import { Health } from "./health.ts";
import { Metrics } from "./metrics.ts";
import { makeServer } from "./server.ts";
import type { ApiTools } from "./tools.ts";
import { USAGE_LONGEST_MS, UsageBuffer } from "./usage.ts";
import { WEBHOOKS_LONGEST_MS, WebhookSender } from "./webhook-sender.ts";

/** Of three instances together half of what PgBouncer gives them connections for. */
const WAY_WIDTH = 16;
const MEMORY_COPIES_BYTES = 64 * 1024 * 1024;
/** Two looks of the balancer: then it sends nothing more. */
const UNREADY_MS = 1_200;

/**
 * So long a stop may take: what is under way looks up its key and is a read, or a write that waits for a primary to the end of its time
 * and is then tried a last time. Calls of webhooks and their records go beside it, the counts of use come behind.
 */
export const STOP_LONGEST_MS =
  UNREADY_MS + Math.max(READ_LONGEST_MS + writeLongestMs({}), WEBHOOKS_LONGEST_MS) + USAGE_LONGEST_MS;

/** What an instance is made of. */
export type InstanceRequest = {
  readonly settings: ServiceSettings;
  readonly name: string;
  readonly listen: ListenAt;
  /** Whether only the balancer can connect. Default: at a socket it is so, at a port anybody can. */
  readonly isBehindBalancer?: boolean;
  readonly onMistake: (error: unknown) => void;
  /** Told what an operator wants to know. */
  readonly tell: (what: string) => void;
};

type Machine = { readonly clock: Clock; readonly files: Files; readonly random: RandomSource };

/** A running instance. */
export class Instance {
  readonly #clock: Clock;
  readonly #tools: ApiTools;
  readonly #health: Health;
  readonly #schema: SchemaWatch;
  readonly #webhooks: WebhookSender;
  readonly #app: FastifyInstance;

  private constructor(
    clock: Clock,
    tools: ApiTools,
    parts: {
      readonly health: Health;
      readonly schema: SchemaWatch;
      readonly webhooks: WebhookSender;
      readonly app: FastifyInstance;
    },
  ) {
    this.#clock = clock;
    this.#tools = tools;
    this.#health = parts.health;
    this.#schema = parts.schema;
    this.#webhooks = parts.webhooks;
    this.#app = parts.app;
  }

  /** Starts one; resolves when it listens. It need not be able to serve yet: its readiness says so. */
  static async start(machine: Machine, request: InstanceRequest): Promise<Instance> {
    const { clock } = machine;
    const tools = await makeTools(machine, request);
    const ask = async (text: string) => (await tools.reads.read(text, [])).rows;
    const schema = new SchemaWatch({ clock, ask }, { wanted: MIGRATIONS.length, tell: request.tell });
    const health = new Health({ ...tools, schema }, request.name);
    const webhooks = new WebhookSender({ clock, writes: tools.writes, allowPrivate: request.settings.privateWebhooks });
    const app = makeServer(tools, health, {
      isBehindBalancer: request.isBehindBalancer ?? "socket" in request.listen,
      trustedProxies: networksOf(request.settings.trustedProxies),
      mcpUrl: request.settings.mcp?.publicUrl,
      onMistake: request.onMistake,
    });
    tools.main.start();
    tools.other?.start();
    schema.start();
    tools.usage.start();
    webhooks.start();
    await app.listen(await readyToListen(machine.files, request.listen));
    return new Instance(clock, tools, { health, schema, webhooks, app });
  }

  /** Not ready, then closed to new connections, then done with what is under way. Nothing is lost but what takes longer than its own limit: all of it together is less than STOP_LONGEST_MS. */
  async stop(): Promise<void> {
    this.#health.beginStop();
    void this.#schema.stop();
    await this.#clock.sleep(UNREADY_MS, {});
    await Promise.all([this.#app.close(), this.#webhooks.stop()]);
    await this.#tools.usage.stop();
    await Promise.all([this.#tools.main.stop(), this.#tools.other?.stop()]);
    this.#tools.redis?.stop();
  }
}

async function makeTools(
  { clock, files, random }: Machine,
  { settings, tell }: Pick<InstanceRequest, "settings" | "tell">,
): Promise<ApiTools> {
  const { database, reads: other } = settings;
  const address = {
    user: database.user,
    password: await secretInFile(files, database.passwordFile),
    database: database.name,
    width: WAY_WIDTH,
    tell,
    positions: new PrimaryPositions(),
  };
  const main = new Way("database", clock, {
    ...address,
    host: database.host,
    port: database.port,
    prepares: database.prepares,
  });
  const second = other === undefined ? undefined : new Way("reads", clock, { ...address, ...other });
  const redis = await openRedis({ clock, files }, settings.redis);
  const budget = new RetryBudget(clock);
  const reads = new HedgedReads({ main, other: second, budget });
  const writes = new Writes({ clock, random, way: main, budget, tell });
  const answers = new Answers({ clock, memory: new MemoryCopies(MEMORY_COPIES_BYTES), redis });
  const secretOf = async (file: string | undefined): Promise<string | undefined> =>
    file === undefined ? undefined : await readSecret(files, file);
  const operatorKey = await secretOf(settings.operatorKeyFile);
  const mcpKey = await secretOf(settings.mcp?.keyFile);
  const keys = new KnownKeys({ clock, reads, operatorKey, mcpKey });
  const limits = new Limits(clock, redis);
  const usage = new UsageBuffer({ clock, writes });
  const metrics = new Metrics();
  const tools = { clock, random, main, other: second, redis, reads, writes, answers, keys, limits, usage, metrics };
  addGauges(tools);
  return tools;
}

function addGauges({ metrics, answers, writes, reads, usage, main, other, redis }: ApiTools): void {
  const one = (name: string, help: string, read: () => number, kind: "gauge" | "counter" = "counter"): void =>
    metrics.add({ name, help, kind, read: () => [["", read()]] });
  metrics.add({
    name: "catalog_answers_total",
    help: "Answers of reads by where they came from.",
    kind: "counter",
    read: () => Object.entries(answers.counts).map(([from, count]) => [`from="${from}"`, count] as const),
  });
  metrics.add({
    name: "catalog_database_connections",
    help: "Connections that are lent, by way.",
    kind: "gauge",
    read: () =>
      [main, other].flatMap((way) => (way === undefined ? [] : [[`way="${way.name}"`, way.load.lent] as const])),
  });
  metrics.add({
    name: "catalog_database_up",
    help: "1 while a server answers at the end of the way.",
    kind: "gauge",
    read: () =>
      [main, other].flatMap((way) =>
        way === undefined
          ? []
          : [[`way="${way.name}"`, way.view === "primary" || way.view === "replica" ? 1 : 0] as const],
      ),
  });
  one("catalog_reads_hedged_total", "Reads that a second server was asked for.", () => reads.hedged);
  one("catalog_writes_held_total", "Times that a write waited for a primary.", () => writes.held.total);
  one("catalog_writes_shed_total", "Writes refused since too many waited.", () => writes.held.shed);
  one("catalog_writes_late_total", "Writes refused since no primary came in time.", () => writes.held.late);
  one("catalog_writes_waiting", "Writes that wait now.", () => writes.waiting, "gauge");
  one("catalog_usage_dropped_total", "Records of use that were not written.", () => usage.dropped);
  one("catalog_redis_up", "1 while redis answers.", () => (redis?.answers === true ? 1 : 0), "gauge");
}
