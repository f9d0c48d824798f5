/**
 * The database's schema, as numbered steps forward.
 *
 * Nouns: a *migration* is a number, a name and SQL; its *checksum* is the SHA-256 of the SQL; what was applied stands in
 * schema_migrations.
 * Invariants: a migration that was released never changes and never goes (a new one mends it); each runs in one
 * transaction with its record, so that a cut leaves it done or not begun, but for one of indexes, which are built beside those who
 * write (indexes.ts) and of which a cut leaves some built; under one advisory lock, so that any number of programs may start at
 * once; there is no way back, a restore is.
 */

/**
 * One step. `indexesOnly`: it is nothing but statements `create index NAME on …`. `earlier`: the checksums of texts that it had before it was
 * released. Where one of them was applied, it is applied once more, also when later ones were: it has to bear that.
 */
export type Migration = {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
  readonly indexesOnly?: true;
  readonly earlier?: readonly string[];
};
