/** A table of more than one file of a GiB. */
import { truncate } from "node:fs/promises";
import { BLOCK_BYTES } from "../../src/postgres/control-file.ts";
import { fileOf } from "./planted-faults.ts";
import { dropTemplates, type TestServer } from "./servers.ts";

/** Pages of the first file. */
export const SEGMENT_PAGES: number = 1024 ** 3 / BLOCK_BYTES;
/** Pages in front of the second segment that rows go to. */
const PAGES_BEFORE = 40;

/** One row a page, from the end of the table on. */
export const wideRows = (from: number, to: number): string =>
  `INSERT INTO large SELECT g, repeat(md5(g::text), 200) FROM generate_series(${from}, ${to}) g`;

/**
 * Makes a table whose rows lie at its beginning and on both sides of its first GiB; between them are pages that no row ever used.
 * Returns its file.
 */
export async function makeLargeTable(server: TestServer): Promise<string> {
  await dropTemplates(server);
  await server.query("CREATE TABLE large (id int, body text)");
  await server.query("ALTER TABLE large ALTER body SET STORAGE plain");
  await server.query(wideRows(1, 300));
  const file = await fileOf(server, "large");
  await server.stop();
  // As a crash leaves a table that was being loaded; costs neither WAL nor the writing of a GiB.
  await truncate(file, (SEGMENT_PAGES - PAGES_BEFORE) * BLOCK_BYTES);
  await server.start();
  await server.query(wideRows(1001, 2150));
  // So that a later look at a row does not change its page.
  await server.query("SELECT count(*) FROM large");
  return file;
}
