/**
 * Clients of a pooler as a process of its own: `node pooler-load.ts '<json>'`. Statements arrive at a fixed rate, whatever
 * becomes of those before (half of them write a row); it prints "loading" when all sessions are open, goes on until its input
 * ends, and then prints what became of each as JSON.
 */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { errorText } from "../../src/errors/error-text.ts";

/** What the process is told. */
export type PoolerLoadOptions = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly sessions: number;
  readonly perSecond: number;
};

/** What became of a statement: when it arrived (milliseconds since 1970), how long it took, and what was wrong. */
export type LoadedStatement = {
  readonly at: number;
  readonly tookMs: number;
  readonly kind: "read" | "write";
  readonly error?: string;
};

const TICK_MS = 2;

const options: PoolerLoadOptions = JSON.parse(process.argv[2] ?? "");
type Arrival = { readonly at: number; readonly kind: "read" | "write" };
const queue: Arrival[] = [];
/** Sessions with nothing to do; undefined tells them that there will be nothing any more. */
const idle: ((next: Arrival | undefined) => void)[] = [];
const done: LoadedStatement[] = [];
let ending = false;

const now = (): number => performance.timeOrigin + performance.now();

async function open(): Promise<pg.Client> {
  const { host, port, user, password, database } = options;
  const client = new pg.Client({ host, port, user, password, database, ssl: false });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

async function serve(first: pg.Client): Promise<void> {
  let client: pg.Client | undefined = first;
  for (;;) {
    const next =
      queue.shift() ?? (ending ? undefined : await new Promise<Arrival | undefined>((take) => idle.push(take)));
    if (next === undefined) break;
    try {
      client ??= await open();
      await client.query(next.kind === "write" ? "INSERT INTO operations DEFAULT VALUES" : "SELECT 1");
      done.push({ ...next, tookMs: now() - next.at });
    } catch (error) {
      done.push({ ...next, tookMs: now() - next.at, error: errorText(error) });
      void client?.end().catch(() => undefined);
      client = undefined;
    }
  }
  await client?.end();
}

async function arrive(): Promise<void> {
  const begun = now();
  for (let count = 0; !ending; ) {
    for (; begun + (count * 1_000) / options.perSecond <= now(); count += 1) {
      const next: Arrival = {
        at: begun + (count * 1_000) / options.perSecond,
        kind: count % 2 === 0 ? "write" : "read",
      };
      const take = idle.shift();
      if (take === undefined) queue.push(next);
      else take(next);
    }
    await sleep(TICK_MS);
  }
  for (const take of idle.splice(0)) take(undefined);
}

void once(process.stdin.resume(), "end").then(() => {
  ending = true;
});
// One after another: a pooler that checks a hundred passwords at once serves nobody meanwhile.
const clients: pg.Client[] = [];
while (clients.length < options.sessions) clients.push(await open());
process.stdout.write("loading\n");
await Promise.all([arrive(), ...clients.map(serve)]);
process.stdout.write(`${JSON.stringify(done)}\n`);
