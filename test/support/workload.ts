/**
 * A seeded workload: what people do to a server between two backups.
 *
 * Nouns: an *operation* is one thing done, told in words; the *deck* holds each operation once, is shuffled by the seed and
 * dealt, then shuffled again, so that no seed leaves an operation out.
 */
import { dropTemplates, type TestServer } from "./servers.ts";

/** A whole number from 0 up to, and without, the bound. */
type Draw = (below: number) => number;

/** One operation, drawn. */
type Drawn = {
  /** What it is done to, with the numbers that were drawn. */
  readonly words: string;
  /** True when nothing else can go on meanwhile. */
  readonly exclusive: boolean;
  readonly run: (server: TestServer) => Promise<void>;
};

/** One operation of a log. */
export type Operation = Drawn & { readonly name: string };

/** Numbers from a seed: mulberry32. */
export function numbersFrom(seed: number): Draw {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const sql =
  (...statements: readonly string[]) =>
  (server: TestServer): Promise<void> =>
    server.onOneSession({}, async (ask) => {
      for (const statement of statements) await ask(statement);
    });

const sets = (words: string, ...statements: readonly string[]): Drawn => ({
  words,
  exclusive: false,
  run: sql(...statements),
});

/** The operations, by name. */
const OPERATIONS: Readonly<Record<string, (draw: Draw) => Drawn>> = {
  load: (draw) => {
    const [from, count] = [draw(1_000_000), 500 + draw(3000)];
    return sets(
      `${count} rows from ${from}`,
      `INSERT INTO a SELECT g, repeat(md5(g::text), 4) FROM generate_series(${from}, ${from + count}) g`,
    );
  },
  update: (draw) => {
    const [rest, salt] = [draw(37), draw(1000)];
    return sets(
      `a, remainder ${rest} by 37, salt ${salt}`,
      `UPDATE a SET body = md5(id || '${salt}') WHERE id % 37 = ${rest}`,
    );
  },
  delete: (draw) => {
    const rest = draw(11);
    return sets(`from a, remainder ${rest} by 11`, `DELETE FROM a WHERE id % 11 = ${rest}`);
  },
  vacuum: (draw) => {
    const options = draw(2) === 0 ? "" : "(FREEZE) ";
    return sets(`${options}a and b`, `VACUUM ${options}a, b`);
  },
  "vacuum full": (draw) => {
    const table = draw(2) === 0 ? "a" : "b";
    return sets(table, `VACUUM FULL ${table}`);
  },
  truncate: (draw) => {
    const rows = draw(12_000);
    return sets(
      `b, and ${rows} rows after`,
      "TRUNCATE b",
      `INSERT INTO b SELECT g, g FROM generate_series(1, ${rows}) g`,
    );
  },
  reindex: (draw) => {
    const table = draw(2) === 0 ? "a" : "b";
    return sets(table, `REINDEX TABLE ${table}`);
  },
  drop: (draw) => {
    const rows = draw(4000);
    return sets(
      `c, made again with ${rows} rows`,
      "DROP TABLE IF EXISTS c",
      `CREATE TABLE c AS SELECT g AS id, md5(g::text) AS body FROM generate_series(1, ${rows}) g`,
    );
  },
  "create database": (draw) => {
    const strategy = draw(2) === 0 ? "file_copy" : "wal_log";
    return sets(
      `other of shop by ${strategy}, dropped first`,
      `DROP DATABASE IF EXISTS other WITH (FORCE)`,
      `CREATE DATABASE other TEMPLATE shop STRATEGY ${strategy}`,
    );
  },
  "other database": (draw) => {
    const [rest, salt] = [draw(5), draw(1000)];
    const statement = `UPDATE item SET name = md5(id || '${salt}') WHERE id % 5 = ${rest}`;
    return {
      words: `update of shop, remainder ${rest} by 5, salt ${salt}`,
      exclusive: false,
      run: async (server) => void (await server.query(statement, [], { database: "shop" })),
    };
  },
  "crash restart": () => ({
    words: "",
    exclusive: true,
    run: async (server) => {
      await server.stop("immediate");
      await server.start();
    },
  }),
  checkpoint: () => sets("", "CHECKPOINT"),
};

/** The names of all operations. */
export const OPERATION_NAMES: readonly string[] = Object.keys(OPERATIONS);

/** Deals operations for ever; the same ones for the same seed. */
export function* dealOperations(seed: number): Generator<Operation, never> {
  const draw = numbersFrom(seed);
  for (;;) {
    const deck = Object.entries(OPERATIONS);
    while (deck.length > 0) {
      for (const [name, make] of deck.splice(draw(deck.length), 1)) {
        const drawn = make(draw);
        yield { ...drawn, name };
      }
    }
  }
}

/** The tables and databases that the operations work on. */
export async function prepareWorkload(server: TestServer): Promise<void> {
  await sql(
    "CREATE TABLE a (id int, body text)",
    "INSERT INTO a SELECT g, repeat(md5(g::text), 6) FROM generate_series(1, 20000) g",
    "CREATE INDEX a_id ON a (id)",
    "CREATE TABLE b (id int PRIMARY KEY, n int)",
    "INSERT INTO b SELECT g, g FROM generate_series(1, 10000) g",
    "CREATE DATABASE shop",
  )(server);
  await server.onOneSession({ database: "shop" }, async (ask) => {
    await ask("CREATE TABLE item (id int PRIMARY KEY, name text)");
    await ask("INSERT INTO item SELECT g, md5(g::text) FROM generate_series(1, 5000) g");
  });
  await dropTemplates(server);
}
