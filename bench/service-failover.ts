/**
 * `bench service-failover`: what callers of the catalogue's API get while the database moves and parts of the stack are killed.
 *
 * Nouns: a *fault* is what is done to the stack; a *run* is one fault under load, from a whole stack to a whole stack.
 * Invariants: the load is open loop and repeats nothing, through the balancer, as the service's users ask; whatever is not answered with 2xx
 * counts; every acknowledged write is read back; a run that was measured is kept, and the benchmark goes on after an interruption
 * with what is missing.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { withSession } from "../src/postgres/session.ts";
import type { NodeName } from "../src/stack/node-settings.ts";
import { offer } from "../test/support/catalogue.ts";
import { OpenLoop } from "../test/support/open-loop.ts";
import type { FailoverStack } from "./failover-stack.ts";
import { Stop } from "./machine.ts";
import type { Report } from "./report.ts";
import { type Measured, outcomeOf, type ResumePlace, resumeRuns } from "./resumed-runs.ts";
import {
  type ClientFigures,
  failedOf,
  failureKinds,
  longestGapMs,
  READS_PER_SECOND,
  remainingFaults,
  type ServiceFailoverRequest,
  type ServiceFailoverRun,
  type ServiceFault,
  serviceFailoverReport,
  WRITES_PER_SECOND,
} from "./service-failover-plan.ts";

/** Connections are warm and the phase of every timer is another: the fault comes after 2 to 4 s of load. */
const WARM_UP_MS = 2_000;
const PHASE_MS = 2_000;
/** After a new primary answers, or after a fault that moves nothing. */
const BEHIND_MS = 4_000;
const MOVED_TIMEOUT_MS = 60_000;
const LOOK_MS = 100;
/** Batches of one source take turns. */
const SOURCES = 8;
const WORDS = ["drill", "kettle", "headphones", "lamp", "saw", "radio", "charger", "fan"];
const OFFERS = 400;

type Call = { readonly signal: AbortSignal };

/** Runs what is missing of the request and reports on all of it. */
export async function benchServiceFailover(
  request: ServiceFailoverRequest,
  at: ResumePlace,
  call: Call,
): Promise<Report> {
  const { runs, versions } = await resumeRuns(
    at,
    {
      file: "service-failover.jsonl",
      conditions: {},
      request: { ...request, durability: "quorum", mib: 0, service: "on" },
      missing: (done: readonly ServiceFailoverRun[]) => remainingFaults(request, done),
      begin: async (stack) => {
        const client = await ServiceClient.open(stack, call);
        return async ({ fault, number }) => {
          const { run: figures, cut } = await measureRun(stack, client, fault, call);
          const run = { fault: fault.name, number, ...figures };
          await tellOf(run, client);
          return { run, cut };
        };
      },
    },
    call,
  );
  return serviceFailoverReport(runs, versions);
}

async function tellOf({ reads, writes, lost, problem }: ServiceFailoverRun, client: ServiceClient): Promise<void> {
  const failed = failedOf(reads) + failedOf(writes);
  console.log(
    `no write for ${writes.outageS.toFixed(2)} s, no read for ${reads.outageS.toFixed(2)} s, failed ${failed}, lost ${lost ?? "unknown"}`,
  );
  for (const [kind, count] of [...Object.entries(reads.failures), ...Object.entries(writes.failures)])
    console.log(`  ${kind}: ${count}`);
  if (failed > 0) console.log(await client.counted());
  if (problem !== undefined) console.log(`  ${problem}`);
}

async function measureRun(
  stack: FailoverStack,
  client: ServiceClient,
  fault: ServiceFault,
  call: Call,
): Promise<Measured<Omit<ServiceFailoverRun, "fault" | "number">>> {
  const before = await stack.untilWhole(call);
  const name = `run ${randomUUID()}`;
  const { reads, writes } = client.begin(name);
  let faultMs = 0;
  let problem: string | undefined;
  try {
    await sleep(WARM_UP_MS + Math.random() * PHASE_MS, undefined, call);
    faultMs = Date.now();
    problem = await disturb(stack, { fault, before }, call);
    await sleep(BEHIND_MS, undefined, call);
  } finally {
    await Promise.all([reads.stop(), writes.stop()]);
  }
  const endMs = Date.now();
  const after = (await stack.primary(call)) ?? "none";
  const begun = performance.now();
  const healed = await outcomeOf(stack.heal("injects" in fault ? fault.injects : "redis", before, call), call);
  const healS = (performance.now() - begun) / 1_000;
  const lost = await outcomeOf(client.lost(name, writes.answered), call);
  const told = [problem, healed.value, healed.error?.message, lost.error?.message].filter((each) => each !== undefined);
  const run = {
    at: new Date(faultMs).toISOString(),
    primaryBefore: before,
    primaryAfter: after,
    reads: figuresOf(reads, { faultMs, endMs }),
    writes: figuresOf(writes, { faultMs, endMs }),
    lost: lost.value,
    healS,
    problem: told.length === 0 ? undefined : told.join("; "),
  };
  return { run, cut: healed.error ?? lost.error };
}

/** Does it, and waits until another node is the primary, where that is to come of it. A command that fails is a result. */
async function disturb(
  stack: FailoverStack,
  { fault, before }: { readonly fault: ServiceFault; readonly before: NodeName },
  call: Call,
): Promise<string | undefined> {
  if ("kills" in fault) {
    await stack.killProgram(fault.kills);
    return undefined;
  }
  try {
    await stack.inject(fault.injects, before, call);
  } catch (error) {
    if (error instanceof Stop) return error.message;
    throw error;
  }
  const deadline = performance.now() + MOVED_TIMEOUT_MS;
  while (fault.moves) {
    const now = await stack.primary(call);
    if (now !== undefined && now !== before) break;
    if (performance.now() > deadline) return `no new primary within ${MOVED_TIMEOUT_MS / 1_000} s`;
    await sleep(LOOK_MS, undefined, call);
  }
  return undefined;
}

function figuresOf(loop: OpenLoop, at: { readonly faultMs: number; readonly endMs: number }): ClientFigures {
  const { okCount, failures, latenciesMs, okAtMs } = loop.tally;
  return {
    ok: okCount,
    failures: failureKinds(failures),
    outageS: longestGapMs(okAtMs, at.faultMs, at.endMs) / 1_000,
    slowestS: latenciesMs.reduce((most, each) => Math.max(most, each), 0) / 1_000,
  };
}

/** A caller of the service with a key of its own. */
class ServiceClient {
  readonly #stack: FailoverStack;
  readonly #front: string;
  readonly #headers: Readonly<Record<string, string>>;
  /** Of all runs: half of what is read was never asked before. */
  #asked = 0;

  private constructor(stack: FailoverStack, front: string, key: string) {
    this.#stack = stack;
    this.#front = front;
    this.#headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  }

  /** Registers one, and puts offers into the catalogue to be read. */
  static async open(stack: FailoverStack, { signal }: Call): Promise<ServiceClient> {
    const { front, operatorKey } = await stack.service();
    const post = async (at: string, key: string, body: object): Promise<Readonly<Record<string, unknown>>> => {
      const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
      const response = await fetch(`${front}${at}`, { method: "POST", headers, body: JSON.stringify(body), signal });
      const answer: Readonly<Record<string, unknown>> = JSON.parse(await response.text());
      if (!response.ok) throw new Stop(`${at} answered ${response.status}: ${JSON.stringify(answer)}`);
      return answer;
    };
    const asked = { agent_name: "bench", tier: "partner", scopes: ["read", "ingest"] };
    const key = String((await post("/v1/auth/register", operatorKey, asked))["api_key"]);
    const products = Array.from({ length: OFFERS }, (_, index) =>
      offer({ sku: `L-${index}`, title: `${WORDS[index % WORDS.length]} number ${index}`, price: 5 + (index % 97) }),
    );
    await post("/v1/ingest/products", key, { source: "load", products });
    return new ServiceClient(stack, front, key);
  }

  /** Begins to read and write, the writes under a name. */
  begin(name: string): { readonly reads: OpenLoop; readonly writes: OpenLoop } {
    const reads = new OpenLoop(READS_PER_SECOND, (index) => {
      this.#asked += 1;
      const word = WORDS[index % WORDS.length];
      const query = index % 2 === 0 ? `q=${word}&max_price=${10 + this.#asked / 1_000}` : `q=${word}&limit=5`;
      return { method: "GET", url: `${this.#front}/v1/products/search?${query}`, headers: this.#headers };
    });
    const writes = new OpenLoop(WRITES_PER_SECOND, (index) => ({
      method: "POST",
      url: `${this.#front}/v1/ingest/products`,
      headers: { ...this.#headers, "idempotency-key": randomUUID() },
      body: JSON.stringify({
        source: `${name} ${index % SOURCES}`,
        products: [offer({ sku: String(index), title: `written ${index}` })],
      }),
    }));
    return { reads, writes };
  }

  /** What the instances have counted of writes that waited and reads that asked twice, since they were started. */
  async counted(): Promise<string> {
    const lines = await Promise.all(
      ["api", "api_2", "api_3"].map(async (name) => {
        const answer = await fetch(`${this.#front}/instances/${name}/metrics`).catch(() => undefined);
        const text = (await answer?.text()) ?? "";
        const counts = [...text.matchAll(/^catalog_((?:reads_hedged|writes_\w+)_total) (\d+)$/gm)];
        return `  ${name}: ${counts.map(([, what, count]) => `${what} ${count}`).join(", ")}`;
      }),
    );
    return lines.join("\n");
  }

  /** How many of the acknowledged writes under a name are not there with exactly one price. */
  async lost(name: string, acknowledged: ReadonlySet<number>): Promise<number> {
    const there = await withSession({
      connect: await this.#stack.application(),
      step: "reading back",
      work: async (session) => {
        const counted = "(SELECT count(*) FROM price_history h WHERE h.product_id = p.id)";
        const { rows } = await session.query<{ sku: string }>(
          `SELECT sku FROM products p WHERE source LIKE '${name} %' AND ${counted} = 1`,
        );
        return new Set(rows.map(({ sku }) => Number(sku)));
      },
    });
    return [...acknowledged].filter((index) => !there.has(index)).length;
  }
}
