import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import type pg from "pg";
import { systemClock } from "../../../src/platform/clock.ts";
import { systemFiles } from "../../../src/platform/files.ts";
import { systemRandom } from "../../../src/platform/random.ts";
import { connectCatalogue, createCatalogue } from "../../../test/support/catalogue.ts";
import { SUPERUSER, startServer, type TestServer } from "../../../test/support/servers.ts";
import { RetryBudget } from "../../database/retry-budget.ts";
import { inTransaction, type Session } from "../../database/session.ts";
import { Way } from "../../database/way.ts";
import { Writes } from "../../database/writes.ts";
import { SOURCES_READ_AS } from "../../schema/0015-sources-read-as.ts";
import { healthOf } from "../pages.ts";
import { Scheduler, type SchedulerOptions } from "../scheduler.ts";
import { type Claimed, claimNext } from "./claim.ts";
import { type DescribedSource, describeSources, generatedSources } from "./described.ts";
import { finishRun, holdClaim } from "./hold.ts";
import { type RunResult, type RunTools, runSource } from "./run.ts";

let server: TestServer;
let session: pg.Client;
let way: Way;
let tools: RunTools;
let shop: Server;
let shopBase = "";
let answer: RequestListener = () => undefined;
const clock = systemClock;

before(async () => {
  server = await startServer({ major: 16, name: "sources" });
  await createCatalogue(server);
  session = await connectCatalogue(server);
  session.on("error", () => undefined);
  way = new Way("main", clock, {
    host: "127.0.0.1",
    port: server.server.setup.port,
    user: SUPERUSER.name,
    password: SUPERUSER.password,
    database: "catalog",
    width: 4,
  });
  way.start();
  const transactions = new Writes({ clock, random: systemRandom, way, budget: new RetryBudget(clock) });
  const feedsFolder = server.folder;
  tools = {
    clock,
    random: systemRandom,
    files: systemFiles,
    transactions,
    feedsFolder,
    generatedRunMs: 1e15,
    articleCount: 60,
    batchRows: 20,
  };
  shop = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => shop.listen(0, "127.0.0.1", resolve));
  const address = shop.address();
  shopBase = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
});

after(async () => {
  shop?.closeAllConnections();
  shop?.close();
  await way?.stop();
  await session?.end();
  await server?.[Symbol.asyncDispose]();
});

const SOURCE = { format: "csv", merchant: "Harbour", country_code: "SG", currency: "SGD", interval_s: 3600 } as const;

async function only(...sources: readonly DescribedSource[]): Promise<void> {
  await session.query("delete from sources");
  await describeSources(session, sources);
}

function csv(rows: readonly (readonly [sku: string, price: string])[]): string {
  const lines = rows.map(([sku, price]) => `${sku},Kettle ${sku},https://h.sg/${sku},${price},Home > Kettles`);
  return `id,title,link,price,category\n${lines.join("\n")}\n`;
}

/** A file of so many offers, named by their letter: `a.csv` has A0, A1 … */
async function threeDollars(letter: string, count: number): Promise<void> {
  const rows = Array.from({ length: count }, (_, index) => [`${letter}${index}`, "3.00"] as const);
  await writeFile(path.join(server.folder, `${letter.toLowerCase()}.csv`), csv(rows));
}

async function claim(holder = "one"): Promise<Claimed> {
  return await inTransaction(session, async () => await claimNext(session, { holder, hostGapMs: 0 }));
}

async function claimed() {
  const taken = await claim();
  assert.ok(taken.kind === "claimed", taken.kind);
  return taken.claim;
}

async function run(signal = new AbortController().signal): Promise<RunResult> {
  const begunAt = clock.monotonic();
  return await runSource(tools, await claimed(), { begunAt, signal });
}

async function due(): Promise<void> {
  await session.query("update sources set next_due_at = clock_timestamp(), last_started_at = null");
}

async function value(sql: string): Promise<unknown> {
  const { rows } = await session.query(sql);
  return Object.values(rows[0] ?? {})[0];
}

/** Runs schedulers until `count` runs have ended. */
async function schedule(count: number, options: readonly Partial<SchedulerOptions>[]): Promise<readonly RunResult[]> {
  const results: RunResult[] = [];
  const enough = Promise.withResolvers<void>();
  const finished = (result: RunResult): void => {
    results.push(result);
    if (results.length >= count) enough.resolve();
  };
  const all = options.map(
    (each, index) =>
      new Scheduler(tools, {
        holder: `s${index}`,
        concurrency: 2,
        log: () => undefined,
        schema: { isThere: true },
        hostGapMs: 0,
        finished,
        ...each,
      }),
  );
  for (const each of all) each.start();
  await enough.promise;
  await Promise.all(all.map(async (each) => await each.stop()));
  return results;
}

test("a feed is read, counted and remembered; read again unchanged it is not fetched, and a moved price is one row more", async () => {
  const file = path.join(server.folder, "h.csv");
  await writeFile(
    file,
    csv([
      ["A", "10.00"],
      ["B", "20.00"],
      ["C", "0"],
      ["A", "11.00"],
      ["D", "1"],
    ]),
  );
  await only({ ...SOURCE, name: "harbour", location: "file:h.csv" });
  const first = await run();
  assert.equal(first.end.kind, "read");
  assert.deepEqual(
    [first.counts.inserted, [...first.counts.rejected]],
    [
      2,
      [
        ["price-zero", 1],
        ["id-duplicate", 1],
        ["price-placeholder", 1],
      ],
    ],
  );
  const record =
    "select received || ' ' || inserted || ' ' || rejected || ' ' || status from ingestion_runs order by started_at desc limit 1";
  assert.equal(await value(record), "5 2 3 partial");
  assert.equal(
    await value("select string_agg(row_number || code, ' ' order by row_number) from ingestion_rejections"),
    "3price-zero 4id-duplicate 5price-placeholder",
  );
  assert.equal((await claim()).kind, "nothing-due");
  await due();
  assert.equal((await run()).end.kind, "unchanged");
  await writeFile(file, csv(Object.entries({ A: "9.50", B: "20.00" })));
  await due();
  const third = await run();
  assert.deepEqual([third.counts.updated, third.counts.unchanged, third.counts.priceChanges], [1, 1, 1]);
  const history =
    "select string_agg(p.sku || h.price, ' ' order by h.id) from price_history h join products p on p.id = h.product_id";
  assert.equal(await value(`${history} where p.source = 'harbour'`), "A10.00 B20.00 A9.50");
});

test("what a feed lists no more is not offered any more, unless it lists less than half; seen again it is back", async () => {
  const file = path.join(server.folder, "w.csv");
  await only({ ...SOURCE, name: "withdrawing", merchant: "W & Sons", location: "file:w.csv" });
  const active = "select string_agg(sku, '' order by sku) from products where source = 'withdrawing' and is_active";
  const read = async (skus: string) => {
    await writeFile(file, csv([...skus].map((sku) => [sku, "4.00"] as const)));
    await due();
    const { counts } = await run();
    return [await value(active), counts.withdrawn];
  };
  assert.deepEqual(await read("PQRS"), ["PQRS", 0]);
  assert.deepEqual(await read("PQR"), ["PQR", 1]);
  assert.deepEqual(await read("P"), ["PQR", 0]);
  assert.deepEqual(await read("QRS"), ["QRS", 1]);
  assert.equal(await value("select count(*)::int from price_history where source = 'withdrawing'"), 4);
});

test("what a connection ended withdraws nothing and is not remembered, unless its server told where the feed ends", async () => {
  await only({ ...SOURCE, name: "closing", merchant: "Closing", location: `${shopBase}/f.csv` });
  const active = "select string_agg(sku, '' order by sku) from products where source = 'closing' and is_active";
  const read = async (skus: string, how: "told" | "gzip" | "closes") => {
    const text = csv([...skus].map((sku) => [sku, "4.00"] as const));
    const body = how === "gzip" ? gzipSync(text) : Buffer.from(text);
    answer = (_, response) => {
      response.setHeader("etag", '"one"');
      if (how === "told") response.setHeader("content-length", body.byteLength);
      else response.useChunkedEncodingByDefault = false;
      response.end(body);
    };
    await due();
    const { counts } = await run();
    return [await value(active), counts.endUntold, await value("select etag from sources")];
  };
  assert.deepEqual(await read("PQRS", "closes"), ["PQRS", true, null]);
  assert.deepEqual(await read("PQR", "closes"), ["PQRS", true, null]);
  assert.deepEqual(await read("PQR", "gzip"), ["PQR", false, '"one"']);
  assert.deepEqual(await read("PQ", "told"), ["PQ", false, '"one"']);
});

test("a source that is described otherwise is read whole the next time, and what it offered as another merchant is withdrawn, too", async () => {
  const listed = async (skus: string) =>
    await writeFile(path.join(server.folder, "r.csv"), csv([...skus].map((sku) => [sku, "100.00"] as const)));
  const again = async (merchant: string) => {
    await session.query("update sources set merchant = $1", [merchant]);
    await due();
    const { end } = await run();
    return `${end.kind} ${await value(`select string_agg(concat_ws(' ', p.sku, p.price_sgd, m.name), ', ' order by p.sku)
      from products p join merchants m on m.id = p.merchant_id where p.source = 'renamed' and p.is_active`)}`;
  };
  await listed("PQ");
  await only({ ...SOURCE, name: "renamed", location: "file:r.csv" });
  const taken = await claimed();
  // While it runs: what it remembers is of the description that it went by.
  await session.query("update sources set currency = 'MYR'");
  await runSource(tools, taken, { begunAt: clock.monotonic(), signal: new AbortController().signal });
  assert.equal(await again("Harbour"), "read P 30.58 Harbour, Q 30.58 Harbour");
  assert.equal(await again("Harbour"), "unchanged P 30.58 Harbour, Q 30.58 Harbour");
  await listed("P");
  assert.equal(await again("Trading"), "read P 30.58 Trading");
  // A feed of nothing is a faulty one, and the merchant of before is not forgotten by it.
  await listed("");
  assert.equal(await again("Port"), "read P 30.58 Trading");
  assert.equal(await value("select merchant_slugs::text from sources"), "{port,trading}");
  await listed("R");
  // As a catalogue that never knew which merchants its sources had.
  await session.query("alter table sources drop column merchant_slugs, drop column read_as");
  await inTransaction(session, async () => await session.query(SOURCES_READ_AS.sql));
  assert.equal(await again("Port"), "read R 30.58 Port");
  assert.equal(await value("select merchant_slugs::text from sources"), "{port}");
});

test("withdrawing goes through a large merchant in pages by its index, and does not compare the clocks of two servers", async () => {
  const file = path.join(server.folder, "p.csv");
  await only({ ...SOURCE, name: "paged", merchant: "Paged", location: "file:p.csv" });
  const rows = Array.from({ length: 70 }, (_, index) => [`P${index}`, "4.00"] as const);
  // One that came before comes again, in another batch.
  await writeFile(file, csv([...rows, ["P0", "5.00"]]));
  await due();
  assert.deepEqual([...(await run()).counts.rejected], [["id-duplicate", 1]]);
  await writeFile(file, csv(rows.slice(0, 40)));
  await due();
  const taken = await claimed();
  // Begun on a server whose clock is ahead of the one that goes on.
  await session.query(`update ingestion_runs set started_at = now() + interval '1 hour' where id = '${taken.runId}'`);
  const active = "select count(*)::int from products where source = 'paged' and is_active";
  const left = new Set<unknown>();
  const plans: string[] = [];
  const transactions: RunTools["transactions"] = {
    run: async (work, options) => {
      const explaining = (to: Session): Session => ({
        query: async (sql, values) => {
          if (sql.startsWith("with page")) plans.push(JSON.stringify((await to.query(`explain ${sql}`, values)).rows));
          return await to.query(sql, values);
        },
      });
      const result = await tools.transactions.run(async (to) => await work(explaining(to)), options);
      left.add(await value(active));
      return result;
    },
  };
  const { signal } = new AbortController();
  const { counts } = await runSource({ ...tools, transactions }, taken, { begunAt: clock.monotonic(), signal });
  await session.query(`update ingestion_runs set started_at = now() where id = '${taken.runId}'`);
  assert.equal(counts.withdrawn, 30);
  assert.deepEqual([...left], [70, 50, 40]);
  // However few offers of however many there are: not by the primary key of all of them.
  assert.equal(plans.filter((plan) => plan.includes("Index Scan using products_merchant_id")).length, 10);
});

test("a scheduler whose runs take long is well as long as the database answers them", async () => {
  await threeDollars("A", 100);
  await only({ ...SOURCE, name: "answering", location: "file:a.csv" });
  let aheadMs = 0;
  let transactionCount = 0;
  let silentMs: number | undefined;
  const transactions: RunTools["transactions"] = {
    run: async (work, options) => {
      transactionCount += 1;
      if (transactionCount === 3 || transactionCount === 5) aheadMs += 31_000;
      silentMs = scheduler.silentMs;
      return await tools.transactions.run(work, options);
    },
  };
  const ahead = { ...clock, monotonic: () => (clock.monotonic() + aheadMs) as ReturnType<typeof clock.monotonic> };
  const finished = Promise.withResolvers<RunResult>();
  const scheduler = new Scheduler(
    { ...tools, clock: ahead, transactions },
    {
      holder: "long",
      concurrency: 1,
      hostGapMs: 0,
      schema: { isThere: true },
      log: () => undefined,
      finished: finished.resolve,
    },
  );
  scheduler.start();
  assert.equal((await finished.promise).end.kind, "read");
  await scheduler.stop();
  assert.ok(silentMs !== undefined && silentMs < 31_000, `${silentMs}`);
});

test("a database that is restored to an older schema is asked for nothing until it has been brought there", async () => {
  await only(generatedSources()[0] as DescribedSource);
  const schema = { isThere: false };
  let [pauses, transactionCount, before] = [0, 0, 0];
  const patient: typeof clock = {
    ...clock,
    sleep: async (_durationMs, options) => {
      pauses += 1;
      if (pauses === 4) {
        before = transactionCount;
        schema.isThere = true;
      }
      await clock.sleep(1, options);
    },
  };
  const transactions: RunTools["transactions"] = {
    run: async (work, options) => {
      transactionCount += 1;
      return await tools.transactions.run(work, options);
    },
  };
  const finished = Promise.withResolvers<RunResult>();
  const scheduler = new Scheduler(
    { ...tools, clock: patient, transactions },
    { holder: "patient", concurrency: 1, schema, log: () => undefined, finished: finished.resolve },
  );
  const page = () => healthOf({ scheduler, schema: { state: schema.isThere ? "fits" : "older" }, warmer: undefined });
  scheduler.start();
  assert.equal(page().status, "down");
  assert.equal((await finished.promise).end.kind, "read");
  assert.equal(page().status, "ok");
  await scheduler.stop();
  assert.equal(before, 0);
});

test("two schedulers run each of the generated sources once, and one host one source at a time", async () => {
  let open = 0;
  let openMax = 0;
  let asked = 0;
  answer = (_request, response) => {
    asked += 1;
    open += 1;
    openMax = Math.max(openMax, open);
    response.once("close", () => (open -= 1));
    setTimeout(() => response.end(csv([["H", "5.00"]])), 30);
  };
  const hosted = ["x", "y", "z"].map((name) => ({ ...SOURCE, name, location: `${shopBase}/${name}` }));
  hosted.push({ ...SOURCE, name: "upper", location: `${shopBase.toUpperCase()}/upper` });
  await only(...generatedSources(), ...hosted);
  const results = await schedule(12, [{}, {}]);
  assert.deepEqual(
    results.map(({ end }) => end.kind),
    results.map(() => "read"),
  );
  assert.equal(new Set(results.map(({ claim: { source } }) => source.name)).size, 12);
  assert.deepEqual([asked, openMax], [4, 1]);
  assert.equal(await value("select count(*)::int from source_runs where outcome = 'read'"), 12);
  assert.ok(Number(await value("select count(*)::int from products where source = 'merlanemall_sg'")) > 10);
  assert.equal(
    (await value(
      "select count(*)::int from products where gtin in (select gtin from products group by gtin having count(*) > 1)",
    )) !== 0,
    true,
  );
});

test("of what is due the lowest priority goes first, then what waits longest, and one after another in one slot each", async () => {
  const source = (name: string, priority: number | undefined) => ({
    ...SOURCE,
    name,
    location: `file:${name}`,
    priority,
  });
  await only(source("last", undefined), source("second", 20), source("first", 10), source("third", 20));
  await due();
  await session.query(
    "update sources set next_due_at = next_due_at - interval '1 minute' where name in ('last', 'second')",
  );
  const order: string[] = [];
  for (let each = 0; each < 4; each++) order.push((await claimed()).source.name);
  assert.deepEqual(order, ["first", "second", "third", "last"]);
  assert.equal((await claim()).kind, "nothing-due");
});

test("a run that was killed is repeated in its slot once its claim is over, and leaves no second row", async () => {
  await threeDollars("K", 50);
  await only({ ...SOURCE, name: "killed", location: "file:k.csv" });
  const dead = await claimed();
  // As after its first batch, whose process then died.
  await inTransaction(session, async () => await holdClaim(session, dead));
  assert.equal((await claim("two")).kind, "nothing-due");
  await session.query("update source_leases set expires_at = clock_timestamp()");
  const repeated = await run();
  assert.deepEqual(
    [repeated.claim.slotAt, repeated.claim.epoch, repeated.counts.inserted],
    [dead.slotAt, String(Number(dead.epoch) + 1), 50],
  );
  assert.equal(
    await value(`select status || ' ' || error from ingestion_runs where id = '${dead.runId}'`),
    "failed cut",
  );
  // The dead one wakes up: nothing of it counts any more.
  const late = await runSource(tools, dead, { begunAt: clock.monotonic(), signal: new AbortController().signal });
  assert.equal(late.end.kind, "lost");
  assert.equal(await value("select count(*)::int from price_history where source = 'killed'"), 50);
  // A slot that was finished is passed over, also where its due time was set back.
  await session.query("update sources set next_due_at = $1::timestamptz", [dead.slotAt]);
  assert.equal((await claim()).kind, "nothing-due");
});

test("a claim that the database lost in the middle of a run ends it, and nothing is written after", async () => {
  await threeDollars("L", 60);
  await only({ ...SOURCE, name: "lost", location: "file:l.csv" });
  const taken = await claimed();
  let batches = 0;
  const transactions: RunTools["transactions"] = {
    run: async (work, options) => {
      batches += 1;
      // As a promoted server that never heard of the grant, or that another scheduler has claimed from.
      if (batches === 3) await session.query("update source_leases set token = gen_random_uuid()");
      return await tools.transactions.run(work, options);
    },
  };
  const { signal } = new AbortController();
  const result = await runSource({ ...tools, transactions }, taken, { begunAt: clock.monotonic(), signal });
  assert.equal(result.end.kind, "lost");
  assert.equal(await value("select count(*)::int from products where source = 'lost'"), 40);
  await assert.rejects(
    inTransaction(session, async () => await holdClaim(session, taken)),
    { code: "scraper.claim-lost" },
  );
});

test("a failover that lost what a run was told is written ends the run: nothing is withdrawn, and the slot reads it all", async () => {
  const rows = (price: string) => csv(Array.from({ length: 60 }, (_, each) => [`B${each}`, price] as const));
  await writeFile(path.join(server.folder, "b.csv"), rows("10.00"));
  await only({ ...SOURCE, name: "batches", location: "file:b.csv" });
  await run();
  await writeFile(path.join(server.folder, "b.csv"), rows("12.50"));
  const offers = "from products where source = 'batches' and is_active";
  const offered = async () => await value(`select count(*) || ' ' || count(*) filter (where price = 12.50) ${offers}`);
  /** Undoes a batch after so many commits, as a promoted server has it that never got it. */
  const losing = async (batch: number, after: number): Promise<string> => {
    await due();
    const taken = await claimed();
    const lost = `update ingestion_runs set received = received - 20 where id = '${taken.runId}';
      update products set price = 10.00, price_sgd = 10.00, seen_run = null
      where source = 'batches' and seen_run = '${taken.runId}' and substr(sku, 2)::int / 20 = ${batch - 1}`;
    let commits = 0;
    const transactions: RunTools["transactions"] = {
      run: async (work, options) => {
        const done = await tools.transactions.run(work, options);
        commits += 1;
        if (commits === after) await session.query(lost);
        return done;
      },
    };
    const signal = new AbortController().signal;
    const { end } = await runSource({ ...tools, transactions }, taken, { begunAt: clock.monotonic(), signal });
    // Its time is over: who takes the slot reads the feed anew.
    await session.query("update source_leases set expires_at = clock_timestamp()");
    return `${end.kind}, ${await offered()}`;
  };
  assert.equal(await losing(2, 2), "lost, 60 20");
  // Before its first look at what is unlisted, between two of its pages, and before its end.
  for (const after of [3, 4, 7]) assert.equal(await losing(3, after), "lost, 60 40");
  assert.equal((await run()).end.kind, "read");
  assert.equal(await offered(), "60 60");
});

test("a feed that fails is asked again later and spread, not before the time its server asks for, and its error is told", async () => {
  answer = (_request, response) => response.writeHead(503, { "retry-after": "7200" }).end();
  await only({ ...SOURCE, name: "busy", location: `${shopBase}/busy` });
  const result = await run();
  assert.equal(result.end.kind, "failed");
  const seen = await session.query(
    "select failure_count, last_error, next_due_at - now() > interval '1 h 59 min' as is_late from sources",
  );
  assert.deepEqual(seen.rows[0], {
    failure_count: 1,
    last_error: `feed.busy: ${shopBase}/busy answers 503`,
    is_late: true,
  });
  assert.equal(await value("select status from ingestion_runs order by started_at desc limit 1"), "failed");
  // A due time that only a wrong clock can have set counts as due.
  await session.query("update sources set next_due_at = now() + interval '3 years', last_started_at = null");
  answer = (_request, response) => response.end(csv([["Z", "2.00"]]));
  assert.equal((await run()).end.kind, "read");
  assert.equal(await value("select failure_count || coalesce(last_error, '-') from sources"), "0-");
});

test("a scheduler that is stopped gives its source back between two batches, and the next one reads it at once", async () => {
  await threeDollars("S", 100);
  await only({ ...SOURCE, name: "stopped", location: "file:s.csv" });
  const stop = new AbortController();
  const taken = await claimed();
  let batches = 0;
  const transactions: RunTools["transactions"] = {
    run: async (work, options) => {
      batches += 1;
      if (batches === 2) stop.abort();
      return await tools.transactions.run(work, options);
    },
  };
  const result = await runSource({ ...tools, transactions }, taken, {
    begunAt: clock.monotonic(),
    signal: stop.signal,
  });
  assert.equal(result.end.kind, "stopped");
  const again = await run();
  assert.deepEqual([again.claim.slotAt, again.counts.inserted + again.counts.unchanged], [taken.slotAt, 100]);
});

test("a run rides through a crash of the server: each row is counted once", async () => {
  await threeDollars("F", 100);
  await only({ ...SOURCE, name: "crashed", location: "file:f.csv" });
  const taken = await claimed();
  let crash: Promise<void> | undefined;
  let batches = 0;
  const transactions: RunTools["transactions"] = {
    run: async (work, options) => {
      batches += 1;
      if (batches !== 3) return await tools.transactions.run(work, options);
      const done = await tools.transactions.run(work, options);
      // Its commit was done and the answer lost: the same batch comes again.
      crash = server.stop("immediate").then(async () => await server.start());
      assert.equal(await tools.transactions.run(work, { ...options, deadlineMs: 30_000 }), undefined);
      return done;
    },
  };
  const { signal } = new AbortController();
  const result = await runSource({ ...tools, transactions }, taken, { begunAt: clock.monotonic(), signal });
  await crash;
  session = await connectCatalogue(server);
  session.on("error", () => undefined);
  assert.equal(result.end.kind, "read");
  assert.equal(
    await value(`select received || ' ' || inserted from ingestion_runs where id = '${taken.runId}'`),
    "100 100",
  );
  assert.equal(await value("select count(*)::int from price_history where source = 'crashed'"), 100);
  // Whoever finds its end written writes it anew, and so waits until it is confirmed.
  const hasWritten = await inTransaction(session, async () => {
    await finishRun(session, taken, { end: { kind: "unchanged" }, nextDueMs: 1 });
    return await value("select pg_current_xact_id_if_assigned() is not null");
  });
  assert.equal(hasWritten, true);
});

test("a database with a new history grants nothing until every claim of the old one is over", async () => {
  await only({ ...SOURCE, name: "history", location: "file:h.csv" });
  await session.end();
  await server.stop();
  // A promotion, of the same data: what a restore and a failover both do.
  await writeFile(path.join(server.dataFolder, "standby.signal"), "");
  await server.start("accepting");
  await assert.rejects(
    async () => {
      session = await connectCatalogue(server);
      session.on("error", () => undefined);
      await claim();
    },
    { code: "25006" },
  );
  await session.query("select pg_promote()");
  const refused = await claim();
  assert.ok(refused.kind === "history-new" && refused.waitMs > 40_000, JSON.stringify(refused));
  await session.query("update database_histories set claims_from = clock_timestamp() where timeline > 1");
  assert.equal((await claim()).kind, "claimed");
  assert.equal(await value("select string_agg(timeline::text, ' ' order by timeline) from database_histories"), "1 2");
});
