/** Everybody's requests of a stack's service, at a fixed rate and without repeating one, while something happens to the stack. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { ConnectOptions } from "../../src/postgres/replication.ts";
import { withSession } from "../../src/postgres/session.ts";
import { secretFile } from "../../src/stack/secrets.ts";
import { offer } from "./catalogue.ts";
import { OpenLoop } from "./open-loop.ts";
import { forAWhile, type RealStack } from "./real-stack.ts";

const READS_PER_SECOND = 50;
const WRITES_PER_SECOND = 20;
/** Batches of one source take turns: with few, two cores that four tests share are soon too slow for them. */
const SOURCES = 40;
const WORDS = ["drill", "kettle", "headphones", "lamp", "saw", "radio", "charger", "fan"];

/** Readers and writers of one stack. */
export class ServiceLoad {
  readonly front: string;
  readonly #one: RealStack;
  readonly #headers: Readonly<Record<string, string>>;

  private constructor(one: RealStack, front: string, key: string) {
    this.#one = one;
    this.front = front;
    this.#headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  }

  /** Puts offers into the catalogue of a stack that is up. */
  static async begin(one: RealStack): Promise<ServiceLoad> {
    const { ports, place } = await one.stack();
    const front = `http://127.0.0.1:${ports.front}`;
    const post = async (at: string, key: string, body: object) => {
      const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
      const response = await fetch(`${front}${at}`, { method: "POST", headers, body: JSON.stringify(body) });
      return JSON.parse(await response.text());
    };
    const operator = (await readFile(secretFile(place, "operator"), "utf8")).trim();
    const made = await post("/v1/auth/register", operator, {
      agent_name: "load",
      tier: "partner",
      scopes: ["read", "ingest"],
    });
    const products = Array.from({ length: 400 }, (_, index) =>
      offer({ sku: `L-${index}`, title: `${WORDS[index % WORDS.length]} number ${index}`, price: 5 + (index % 97) }),
    );
    const loaded = await post("/v1/ingest/products", made.api_key, { source: "load", products });
    assert.equal(loaded.inserted, 400);
    return new ServiceLoad(one, front, made.api_key);
  }

  /** What shows the key of this load: without one only some questions a minute are answered. */
  get authorization(): string {
    return this.#headers["authorization"] ?? "";
  }

  /** While something happens no request fails, and every write that was acknowledged is there afterwards. */
  async during(name: string, act: () => Promise<void>): Promise<void> {
    const reads = new OpenLoop(READS_PER_SECOND, (index) => this.#read(index));
    const writes = new OpenLoop(WRITES_PER_SECOND, (index) => ({
      method: "POST",
      url: `${this.front}/v1/ingest/products`,
      headers: { ...this.#headers, "idempotency-key": randomUUID() },
      body: JSON.stringify({
        source: `${name} ${index % SOURCES}`,
        products: [offer({ sku: `${name}-${index}`, title: `written ${index}` })],
      }),
    }));
    try {
      await forAWhile(1_000);
      await act();
      await forAWhile(1_000);
    } finally {
      await Promise.all([reads.stop(), writes.stop()]);
    }
    if (reads.tally.failures.length + writes.tally.failures.length > 0) await this.#tellWhatStackSaid();
    assert.deepEqual(reads.tally.failures, [], `${name}: reads`);
    assert.deepEqual(writes.tally.failures, [], `${name}: writes`);
    const there = new Set(await this.#written(name));
    const missing = [...writes.answered].filter((index) => !there.has(`${name}-${index} 1`));
    assert.deepEqual(missing, [], `${name}: acknowledged writes are there, each once`);
  }

  /** How the application reaches the catalogue through the pooler. */
  async connect(): Promise<ConnectOptions> {
    const { ports } = await this.#one.stack();
    return { ...(await this.#one.application()), port: ports.pgbouncer };
  }

  /** Half of the reads were never asked before, so that no kept copy answers them. */
  #read(index: number) {
    const word = WORDS[index % WORDS.length];
    const query = index % 2 === 0 ? `q=${word}&max_price=${10 + index / 1_000}` : `q=${word}&limit=5`;
    return { method: "GET", url: `${this.front}/v1/products/search?${query}`, headers: this.#headers } as const;
  }

  /** A failure here is rare, and what the components wrote goes with the stack. */
  async #tellWhatStackSaid(): Promise<void> {
    const { out } = await this.#one.cli.run("logs --lines 40");
    console.log(out);
  }

  /** What was written under a name, each with the number of its prices. */
  async #written(name: string): Promise<readonly string[]> {
    const { rows } = await withSession({
      connect: await this.connect(),
      step: "reading back",
      work: async (session) => {
        const counted = "(SELECT count(*) FROM price_history h WHERE h.product_id = p.id)";
        return await session.query<{ seen: string }>(
          `SELECT sku || ' ' || ${counted} AS seen FROM products p WHERE source LIKE '${name} %'`,
        );
      },
    });
    return rows.map(({ seen }) => seen);
  }
}
