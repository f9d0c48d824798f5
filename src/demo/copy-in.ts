/**
 * COPY ... FROM STDIN on a node-postgres session, with back-pressure.
 *
 * Invariants: at most one chunk beyond the socket's own buffer is held; when the rows or the caller fail, the server is
 * told to drop what it got, and the session stays usable; the server's own error wins over ours.
 * Source: PostgreSQL manual, "Frontend/Backend Protocol", section "COPY Operations".
 */
import { once } from "node:events";
import type pg from "pg";
import { throwIfAborted } from "../platform/clock.ts";

/** What is copied: the statement, and its rows in chunks that need not end at a row's end. */
export type CopyRequest = {
  readonly sql: string;
  readonly rows: AsyncIterable<Buffer>;
  readonly signal?: AbortSignal | undefined;
};

/** Runs the COPY; returns how many rows the server took. Rejects with the server's error, or with that of the rows. */
export function copyIn(client: pg.Client, request: CopyRequest): Promise<number> {
  return new Promise((resolve, reject) => {
    client.query(new CopyIn(request, { resolve, reject }));
  });
}

/** The part of a node-postgres connection that COPY needs; its published types leave two of them out. */
type CopyConnection = Pick<pg.Connection, "stream" | "query"> & {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(reason: string): void;
};

type Outcome = { readonly resolve: (rowCount: number) => void; readonly reject: (cause: Error) => void };

/** node-postgres calls these methods as the server's messages arrive. */
class CopyIn implements pg.Submittable {
  readonly #request: CopyRequest;
  readonly #outcome: Outcome;
  /** The error of the rows, kept until the server has acknowledged that the COPY is off. */
  #sourceError: Error | undefined;
  #rowCount = 0;
  #over = false;

  constructor(request: CopyRequest, outcome: Outcome) {
    this.#request = request;
    this.#outcome = outcome;
  }

  submit(connection: Pick<pg.Connection, "query">): void {
    connection.query(this.#request.sql);
  }

  handleCopyInResponse(connection: CopyConnection): void {
    this.#pump(connection).then(
      () => this.#over || connection.endCopyFrom(),
      (cause: unknown) => {
        this.#sourceError = cause instanceof Error ? cause : new Error(String(cause));
        if (!this.#over) connection.sendCopyFail("the rows ended early");
      },
    );
  }

  handleCommandComplete(message: { readonly text: string }): void {
    this.#rowCount = Number(/^COPY (\d+)$/.exec(message.text)?.[1] ?? 0);
  }

  handleReadyForQuery(): void {
    this.#over = true;
    this.#outcome.resolve(this.#rowCount);
  }

  handleError(cause: Error): void {
    this.#over = true;
    this.#outcome.reject(this.#sourceError ?? cause);
  }

  async #pump(connection: CopyConnection): Promise<void> {
    const { rows, signal } = this.#request;
    for await (const chunk of rows) {
      throwIfAborted(signal, "copying rows to the server");
      // The server has refused the COPY or is gone: it does not read the rest.
      if (this.#over) return;
      connection.sendCopyFromChunk(chunk);
      if (connection.stream.writableNeedDrain) await drained(connection.stream);
    }
  }
}

/** Waits until the socket takes more; returns as well when it breaks, which node-postgres reports by itself. */
async function drained(stream: pg.Connection["stream"]): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([
      once(stream, "drain", { signal: over.signal }),
      once(stream, "close", { signal: over.signal }),
    ]);
  } finally {
    over.abort();
  }
}
