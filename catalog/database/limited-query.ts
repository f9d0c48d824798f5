/** A query of node-postgres with a limit that the server keeps. */
import pg from "pg";
import { limitMessages } from "./read-limit.ts";
import type { Row } from "./session.ts";

/** What a query of node-postgres is, of which its types know the constructor only. */
type Driven = new (
  config: pg.QueryConfig & { readonly queryMode: "extended" },
  values?: unknown[],
) => {
  submit(connection: pg.Connection): unknown;
  handleCommandComplete(message: unknown, connection: pg.Connection): void;
};

const Query = pg.Query as unknown as Driven;

/** Rows of one statement that the server gives up after `limitMs`, outside of a transaction. Rejects as node-postgres does. */
export async function readLimited(
  client: pg.ClientBase,
  question: {
    readonly text: string;
    readonly values: readonly unknown[];
    readonly limitMs: number;
    readonly timeoutMs: number;
  },
): Promise<readonly Row[]> {
  return await new Promise((resolve, reject) => {
    client.query(
      new LimitedQuery(question, (error, result) => {
        if (result === undefined) reject(error);
        else resolve(result.rows);
      }),
    );
  });
}

type Told = (error: unknown, result?: pg.QueryResult<Row>) => void;

class LimitedQuery extends Query {
  readonly query_timeout: number;
  callback: Told;
  readonly #limitMs: number;
  #isSet = false;

  constructor({ text, values, limitMs, timeoutMs }: Parameters<typeof readLimited>[1], told: Told) {
    super({ text, queryMode: "extended" }, [...values]);
    this.query_timeout = timeoutMs;
    this.callback = told;
    this.#limitMs = limitMs;
  }

  override submit(connection: pg.Connection): unknown {
    connection.stream.write(limitMessages(this.#limitMs));
    return super.submit(connection);
  }

  override handleCommandComplete(message: unknown, connection: pg.Connection): void {
    if (this.#isSet) super.handleCommandComplete(message, connection);
    this.#isSet = true;
  }
}
