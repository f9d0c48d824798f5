import assert from "node:assert/strict";
import { test } from "node:test";
import { startServer } from "../../../test/support/servers.ts";
import { isLifeboatError } from "../../errors/error.ts";
import { withSession } from "../../postgres/session.ts";
import { isGtin } from "../../wares/gtin.ts";
import { copyIn } from "../copy-in.ts";
import { type LoadProgress, loadCatalog } from "./catalog-data.ts";

const TARGET_BYTES = 30_000_000;

for (const major of [15, 18] as const) {
  test(`on PostgreSQL ${major} the catalogue is loaded to its size within ten per cent, with its indexes`, async () => {
    await using server = await startServer({ major });
    const seen: LoadProgress[] = [];
    const connect = server.server.address();
    const loaded = await loadCatalog({ connect, targetBytes: TARGET_BYTES, progress: (step) => seen.push(step) });
    assert.ok(Math.abs(loaded.sizeBytes / TARGET_BYTES - 1) < 0.1, `${loaded.sizeBytes} bytes`);
    assert.equal(await server.value("SELECT count(*) FROM products"), String(loaded.productCount));
    assert.equal(await server.value("SELECT count(*) FROM price_history"), String(loaded.priceCount));
    assert.deepEqual([...new Set(seen.map((step) => step.phase))], ["products", "prices", "indexes", "statistics"]);
    assert.ok(seen.every((step, index) => index === 0 || step.fraction >= (seen[index - 1]?.fraction ?? 0)));
    assert.equal(seen.at(-1)?.fraction, 1);
    const distinct = Number(await server.value("SELECT count(DISTINCT title)::float8 / count(*) FROM products"));
    assert.ok(distinct > 0.95, `${distinct} of the titles are distinct`);
    const search = "SELECT count(*) > 0 FROM products WHERE to_tsvector('english', title) @@ to_tsquery('lamp')";
    assert.equal(await server.value(search), "true");
  });
}

test("what the server holds is what was made: texts, arrays, numbers, JSON and article numbers", async () => {
  await using server = await startServer({ major: 16 });
  await loadCatalog({ connect: server.server.address(), targetBytes: 1, seed: 5 });
  const rows = await server.query(
    "SELECT gtin, array_length(category_path, 1) AS depth, price::text, attributes->>'brand' = brand AS agrees, title FROM products",
  );
  assert.equal(rows.length, 1_000);
  for (const row of rows) {
    assert.ok(isGtin(String(row["gtin"])));
    assert.equal(row["depth"], 3);
    assert.match(String(row["price"]), /^[1-9]\d*\.\d\d$|^0\.\d[1-9]$/);
    assert.equal(row["agrees"], true);
    assert.doesNotMatch(String(row["title"]), /\\/);
  }
  const inches = "SELECT count(*) > 0 FROM products WHERE title LIKE '%\"%' AND attributes::text NOT LIKE '%\\\\\\\\%'";
  assert.equal(await server.value(inches), "true");
  assert.equal(
    await server.value(
      "SELECT count(*) FROM price_history h JOIN products p ON p.id = h.product_id AND p.price = h.price AND p.updated_at = h.recorded_at",
    ),
    "1000",
  );
});

test("a database with such tables is refused and left as it is, and a load can be stopped without a trace", async () => {
  await using server = await startServer({ major: 16 });
  const connect = server.server.address();
  const stop = new AbortController();
  const stopped = loadCatalog({
    connect,
    targetBytes: 3_000_000_000,
    signal: stop.signal,
    progress: () => stop.abort(),
  });
  await assert.rejects(stopped, { code: "platform.aborted" });
  assert.equal(await server.value("SELECT to_regclass('products') IS NULL"), "true");
  await server.query("CREATE TABLE products (mine int)");
  await assert.rejects(loadCatalog({ connect, targetBytes: 1 }), { code: "demo.catalog-exists" });
  assert.equal(await server.value("SELECT count(*) FROM products"), "0");
  const nobody = { ...connect, port: 1 };
  await assert.rejects(loadCatalog({ connect: nobody, targetBytes: 1 }), { code: "postgres.unreachable" });
});

test("a COPY that the server or the rows break off leaves the session usable and names the reason", async () => {
  await using server = await startServer({ major: 16 });
  const work = { connect: server.server.address(), step: "copying" };
  const rowsOf = async function* (text: string, times: number, failure?: Error) {
    for (let index = 0; index < times; index++) yield Buffer.from(text);
    if (failure !== undefined) throw failure;
  };
  await withSession({
    ...work,
    work: async (client) => {
      await client.query("CREATE TEMPORARY TABLE numbers (value int)");
      const sql = "COPY numbers FROM STDIN";
      assert.equal(await copyIn(client, { sql, rows: rowsOf("1\n2\n", 50_000) }), 100_000);
      await assert.rejects(copyIn(client, { sql, rows: rowsOf("no number\n", 100_000) }), { code: "22P02" });
      await assert.rejects(copyIn(client, { sql, rows: rowsOf("3\n", 10, new Error("out of rows")) }), /out of rows/);
      await assert.rejects(copyIn(client, { sql: "COPY nowhere FROM STDIN", rows: rowsOf("1\n", 1) }), {
        code: "42P01",
      });
      const counted = await client.query<{ count: string }>("SELECT count(*) FROM numbers");
      assert.equal(counted.rows[0]?.count, "100000");
    },
  });
  const lost = withSession({
    ...work,
    work: (client) => client.query("SELECT pg_terminate_backend(pg_backend_pid())"),
  });
  await assert.rejects(lost, (error) => isLifeboatError(error) && error.code.startsWith("postgres."));
});
