/** What shoppers will ask next: what they asked most, and where there is no past, what the catalogue shows first. */

/** Runs one statement that writes nothing. */
export type Ask = (text: string, values: readonly unknown[]) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** Searches of the last day by number; those of the warmer itself (key 0) are not counted, or it would keep its own alive. */
const QUERIES = `select query from search_history
where searched_at > now() - interval '1 day' and api_key_id is distinct from 0 and query <> ''
group by query order by count(*) desc, max(searched_at) desc limit $1`;

/** A click may be told of anything: only what is offered is asked for. */
const CLICKED = `select c.product_id from clicks c join products p on p.id = c.product_id and p.is_active
where c.clicked_at > now() - interval '1 day' group by c.product_id order by count(*) desc, c.product_id limit $1`;

/** In the order of an index: counting what is in a category would read every offer each time. */
const DEALS = `select id from products where is_active and discount_percent > 0
order by discount_percent desc, id limit $1`;

/** What lists all categories, the largest first. */
export const CATEGORIES_PATH = "/v1/categories";

/**
 * Paths of the API to be asked, the most wanted first; at most `wishesMax`. `categories` are slugs, the largest first. Rejects
 * as the database does.
 */
export async function wishes(
  ask: Ask,
  { categories, wishesMax }: { readonly categories: readonly string[]; readonly wishesMax: number },
): Promise<readonly string[]> {
  const half = Math.ceil(wishesMax / 2);
  const texts = async (sql: string, column: string, limit: number): Promise<readonly string[]> =>
    (await ask(sql, [limit])).map((row) => String(row[column]));
  const queries = await texts(QUERIES, "query", half);
  const clicked = await texts(CLICKED, "product_id", half);
  const deals = await texts(DEALS, "id", half);
  const paths = [
    CATEGORIES_PATH,
    "/v1/products/deals",
    ...queries.map((query) => `/v1/products/search?${new URLSearchParams({ q: query }).toString()}`),
    ...clicked.map((id) => `/v1/products/${id}`),
    ...categories
      .slice(0, half)
      .map((category) => `/v1/products/search?${new URLSearchParams({ category }).toString()}`),
    ...deals.map((id) => `/v1/products/${id}`),
  ];
  return [...new Set(paths)].slice(0, wishesMax);
}
