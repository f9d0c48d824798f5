/**
 * Where a pooler's databases lead: the file that its pgbouncer.ini includes, since no command of PgBouncer sets a host.
 * docs/formats/pooler-databases.md is the specification.
 *
 * Invariants: its first line holds the greatest epoch that has acted on this pooler, and is durable before the act has an
 * effect; whoever comes with a smaller one is refused; the file is read, judged and replaced under the pooler's lock.
 */
import { LifeboatError } from "../errors/error.ts";
import { writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { RandomSource } from "../platform/random.ts";
import { type CallOptions, isSameServer, type ServerAddress, type StaleEpoch } from "./pooler.ts";

/** A database and where it leads; `database` is its name on the server. */
export type DatabaseLine = { readonly name: string; readonly database: string; readonly server: ServerAddress };

/** What the file says. */
export type DatabasesFile = { readonly epoch: number; readonly databases: readonly DatabaseLine[] };

const FIRST_LINE = /^;; lifeboat-pooler-databases 1 epoch=(\d{1,15})$/;
// PgBouncer 1.18 takes no quotes around a name, and without them only these characters.
const DATABASE = /^(\w+) = host=(\S+) port=(\d{1,5}) dbname=(\w+)$/;

/** Its text. */
export function formatDatabases({ epoch, databases }: DatabasesFile): string {
  const lines = databases.map(
    ({ name, database, server }) => `${name} = host=${server.host} port=${server.port} dbname=${database}\n`,
  );
  return `;; lifeboat-pooler-databases 1 epoch=${epoch}\n;; Written by lifeboat; changes made here are lost.\n${lines.join("")}`;
}

/** Reads the text; undefined when it is not understood. */
export function parseDatabases(text: string): DatabasesFile | undefined {
  const [first = "", ...rest] = text.split("\n");
  const epoch = FIRST_LINE.exec(first)?.[1];
  if (epoch === undefined) return undefined;
  const lines = rest.filter((line) => line !== "" && !line.startsWith(";"));
  const databases = lines.flatMap((line): readonly DatabaseLine[] => {
    const [, name, host, port, database] = DATABASE.exec(line) ?? [];
    if (name === undefined || host === undefined || database === undefined) return [];
    return [{ name, database, server: { host, port: Number(port) } }];
  });
  return databases.length === lines.length ? { epoch: Number(epoch), databases } : undefined;
}

type Tools = { readonly files: Files; readonly random: RandomSource };

/** Reads the file. Rejects with `platform.file-missing` or `pooler.file-damaged`. */
export async function readDatabases({ files }: Pick<Tools, "files">, file: string): Promise<DatabasesFile> {
  const found = parseDatabases((await files.readFile(file)).toString("utf8"));
  if (found !== undefined) return found;
  throw new LifeboatError("pooler.file-damaged", {
    message: `${file} does not say where the pooler's databases lead, or not in a way that is understood`,
    remedy: "Look which server is the primary. Then remove the file and bring the stack up: it is written anew.",
  });
}

/**
 * Puts the epoch on record, and with `server` makes every database lead there. The caller holds the pooler's lock. Nothing is
 * written where the file says so already. Rejects as `readDatabases` and `writeDurable` do.
 */
export async function recordEpoch(
  tools: Tools,
  file: string,
  act: { readonly epoch: number; readonly server?: ServerAddress },
  { signal }: CallOptions,
): Promise<StaleEpoch | { readonly kind: "recorded"; readonly databases: readonly DatabaseLine[] }> {
  const before = await readDatabases(tools, file);
  if (before.epoch > act.epoch) return { kind: "stale-epoch", seen: before.epoch };
  const { server } = act;
  const databases =
    server === undefined ? before.databases : before.databases.map((database) => ({ ...database, server }));
  const same =
    before.epoch === act.epoch &&
    (server === undefined || before.databases.every((database) => isSameServer(database.server, server)));
  if (!same) {
    const parts = [Buffer.from(formatDatabases({ epoch: act.epoch, databases }))];
    const unique = tools.random(8).toString("hex");
    await writeDurable(tools.files, { file, parts, over: "replace", permissions: 0o600, unique, signal });
  }
  return { kind: "recorded", databases };
}
