/**
 * Whether the files of relations are all there: what amcheck cannot tell, for it takes the length of a file for the length of its
 * relation, and asks only tables and btree indexes.
 *
 * Nouns: a relation's *segments* are its files of 1 GiB; it ends with the first that is not full, as the server sees it.
 * Invariants: each finding contradicts what recovery leaves in any sound cluster. `pg_class.relpages` is no such fact: a statistic that
 * 18 restores from elsewhere, that counts pages added and never used, of which no WAL tells, and that a TRUNCATE of a table which its own transaction
 * made leaves as it was. An index entry is one: its row was written, and logged, before it, and VACUUM takes the entry before the row.
 * Relations that are not logged are begun anew by recovery, so only their files' presence is looked at.
 */
import { eachTableBlock } from "../postgres/btree-page.ts";
import { hasItems } from "../postgres/page.ts";
import type { ProofFinding } from "../vault/proofs.ts";
import { missingDatabase, undoPrepared } from "./databases.ts";
import type { ScannedPage } from "./page-scan.ts";
import { refusalOf, type SandboxServer } from "./sandbox-server.ts";

/** Catalogue queries. */
const STATEMENT_TIMEOUT_MS = 600_000;

/** A relation whose file must be there. */
export type StoredRelation = {
  readonly database: string;
  /** With its schema, quoted where it must be. */
  readonly name: string;
  readonly kind: "table" | "index" | "sequence";
  /** Of its first segment, below the data directory. */
  readonly path: string;
  /** True for what has a page from its beginning on. */
  readonly neverEmpty: boolean;
  /** For a btree index whose entries count: where its table lies. */
  readonly tablePath: string | null;
};

/** What the catalogues name; `answered` are the databases that could be asked, findings say why others could not. */
export type StoredRelations = {
  readonly relations: readonly StoredRelation[];
  readonly answered: readonly string[];
  readonly findings: readonly ProofFinding[];
};

/**
 * Tables of the heap (other access methods may keep their rows elsewhere), valid indexes, sequences. Indexes of PostgreSQL's own
 * access methods begin with a page: btree, hash, gist, gin, spgist, brin (pg_am.dat has their OIDs).
 */
const STORED_SQL = `
  SELECT format('%I.%I', n.nspname, c.relname) AS name,
         CASE c.relkind WHEN 'i' THEN 'index' WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind,
         pg_relation_filepath(c.oid) AS path,
         c.relkind = 'S' OR c.relkind = 'i' AND c.relam IN (403, 405, 783, 2742, 4000, 3580) AS never_empty,
         CASE WHEN c.relkind = 'i' AND c.relam = 403 AND c.relpersistence = 'p' AND t.relam = 2
              THEN pg_relation_filepath(t.oid) END AS table_path
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_class t ON t.oid = i.indrelid
   WHERE c.relpersistence <> 't' AND (NOT c.relisshared OR $1)
     AND (c.relkind IN ('r', 'm', 't') AND c.relam = 2 OR c.relkind = 'S'
       OR c.relkind = 'i' AND i.indisready AND i.indisvalid)`;

/** Asks the databases for their relations, shared ones once; undoes what is prepared in them. */
export async function listStored(
  server: SandboxServer,
  databases: readonly string[],
  options: { readonly signal?: AbortSignal | undefined },
): Promise<StoredRelations> {
  const relations: StoredRelation[] = [];
  const answered: string[] = [];
  const findings: ProofFinding[] = [];
  for (const database of databases) {
    try {
      const session = await server.connect(database, options);
      try {
        await undoPrepared(session, options);
        const limits = { timeoutMs: STATEMENT_TIMEOUT_MS, ...options };
        const rows = await session.query(STORED_SQL, [answered.length === 0], limits);
        for (const row of rows) if (row["path"] !== null) relations.push({ database, ...readStored(row) });
        answered.push(database);
      } finally {
        await session.close();
      }
    } catch (error) {
      const refused = missingDatabase(error, database) ?? refusalOf(error, `database ${database}`);
      if (refused === undefined) throw error;
      findings.push(refused);
      if (refused.code === "server-ended") break;
    }
  }
  return { relations, answered, findings };
}

function readStored(row: Readonly<Record<string, unknown>>): Omit<StoredRelation, "database"> {
  const { kind, table_path: tablePath } = row;
  return {
    name: String(row["name"]),
    kind: kind === "index" || kind === "sequence" ? kind : "table",
    path: String(row["path"]),
    neverEmpty: row["never_empty"] === true,
    tablePath: typeof tablePath === "string" ? tablePath : null,
  };
}

/** What a scan saw of a relation. */
class SeenFiles {
  /** Blocks of each segment file that is there, by its number. */
  readonly #segments = new Map<number, { blocks: number; used: boolean }>();
  /** Blocks that are all zero, ascending: from and behind the end of each run. */
  readonly #zero: number[] = [];

  segment(number: number, blocks: number): void {
    this.#segments.set(number, { blocks, used: false });
  }

  zero(block: number): void {
    if (this.#zero.at(-1) === block) this.#zero[this.#zero.length - 1] = block + 1;
    else this.#zero.push(block, block + 1);
  }

  /** Only the first of a segment has to be asked. */
  use(number: number, isUsed: () => boolean): void {
    const segment = this.#segments.get(number);
    if (segment?.used === false) segment.used = isUsed();
  }

  has(number: number): boolean {
    return this.#segments.has(number);
  }

  /** The first segment that is not full or not there: the server reads none behind it. */
  end(segmentBlocks: number): { readonly segment: number; readonly blocks: number } {
    let segment = 0;
    while (this.#segments.get(segment)?.blocks === segmentBlocks) segment += 1;
    return { segment, blocks: segment * segmentBlocks + (this.#segments.get(segment)?.blocks ?? 0) };
  }

  /** A segment with a used page that lies behind another. */
  usedBehind(segment: number): number | undefined {
    return [...this.#segments].find(([number, { used }]) => used && number > segment)?.[0];
  }

  isZero(block: number): boolean {
    let [low, high] = [0, this.#zero.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#zero[middle] ?? 0) <= block) low = middle + 1;
      else high = middle;
    }
    return low % 2 === 1;
  }
}

/** Takes what a scan sees, tables before indexes, and says what is missing. */
export class RelationFiles {
  readonly #relations: readonly StoredRelation[];
  readonly #segmentBlocks: number;
  /** Paths of tables, and of those that have indexes to ask. */
  readonly #heaps: ReadonlySet<string>;
  readonly #tables: ReadonlySet<string>;
  readonly #indexes: ReadonlyMap<string, StoredRelation>;
  readonly #seen = new Map<string, SeenFiles>();
  /** By the table's path: where an entry of one of its indexes leads to nothing. */
  readonly #astray = new Map<string, { readonly index: StoredRelation; readonly block: number }>();
  #asked: { readonly tablePath: string; readonly table: SeenFiles; readonly blocks: number } | undefined;

  constructor(relations: readonly StoredRelation[], segmentBlocks: number) {
    this.#relations = relations;
    this.#segmentBlocks = segmentBlocks;
    this.#heaps = new Set(relations.flatMap(({ kind, path }) => (kind === "table" ? [path] : [])));
    this.#tables = new Set(relations.flatMap(({ tablePath }) => (tablePath === null ? [] : [tablePath])));
    this.#indexes = new Map(relations.flatMap((each) => (each.tablePath === null ? [] : [[each.path, each] as const])));
  }

  /** True for what has to be seen before its indexes. */
  isFirst(relationPath: string): boolean {
    return this.#tables.has(relationPath);
  }

  /** A file that is there, before its pages. */
  takeFile(file: { readonly relationPath: string; readonly segment: number; readonly blocks: number }): void {
    const seen = this.#seen.get(file.relationPath) ?? new SeenFiles();
    this.#seen.set(file.relationPath, seen);
    seen.segment(file.segment, file.blocks);
  }

  /** A page of it, in the order of blocks. */
  takePage({ relationPath, segment, block, verdict, bytes, at }: ScannedPage): void {
    const seen = this.#seen.get(relationPath);
    if (verdict === "empty") seen?.zero(block);
    // Where VACUUM shortened a table while a backup ran, that may have the segment behind as it was, and nobody reads it any more.
    else seen?.use(segment, () => verdict !== "good" || !this.#heaps.has(relationPath) || hasItems(bytes, at));
    const index = this.#indexes.get(relationPath);
    // Of a page that is damaged nothing is believed, and it is a finding itself.
    if (index === undefined || verdict !== "good" || index.tablePath === null) return;
    const { tablePath } = index;
    if (this.#asked?.tablePath !== tablePath) {
      const table = this.#seen.get(tablePath) ?? new SeenFiles();
      this.#asked = { tablePath, table, blocks: table.end(this.#segmentBlocks).blocks };
    }
    const { table, blocks } = this.#asked;
    eachTableBlock(bytes, at, (pointed) => {
      if (pointed < blocks && !table.isZero(pointed)) return;
      if (!this.#astray.has(tablePath)) this.#astray.set(tablePath, { index, block: pointed });
    });
  }

  /** One of each relation at most, once the scan is over. */
  findings(): readonly ProofFinding[] {
    return this.#relations.flatMap((relation) => {
      const why = this.#faultOf(relation);
      if (why === undefined) return [];
      const { database, kind, name } = relation;
      return [{ object: `database ${database}, ${kind} ${name}`, code: "file", message: why }];
    });
  }

  #faultOf({ name, path, neverEmpty }: StoredRelation): string | undefined {
    const seen = this.#seen.get(path);
    if (seen === undefined || !seen.has(0)) return `the file of ${name}, ${path}, is not there`;
    const end = seen.end(this.#segmentBlocks);
    const behind = seen.usedBehind(end.segment);
    if (behind !== undefined) {
      const missing = `${path}.${end.segment}`;
      const file = end.segment === 0 ? path : missing;
      return `${name} ends with block ${end.blocks}, for its file ${file} is ${seen.has(end.segment) ? "not full" : "not there"}, and ${path}.${behind} has pages of it`;
    }
    if (neverEmpty && end.blocks === 0)
      return `the file of ${name}, ${path}, is empty, and has a page from its beginning on`;
    const astray = this.#astray.get(path);
    if (astray === undefined) return undefined;
    const { index, block } = astray;
    const what = block < end.blocks ? "which is all zero" : `and it has ${end.blocks} blocks`;
    return `index ${index.name} has entries for rows in block ${block} of ${name}, ${what}: rows are gone, or the index is wrong`;
  }
}
