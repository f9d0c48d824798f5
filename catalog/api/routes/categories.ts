/** Categories. */
import { z } from "zod";
import { ApiProblem } from "../problems.ts";
import { read } from "../route.ts";

/** Counting a million offers takes a tenth of a second and changes little. */
const TIMES = { softMs: 30_000, hardMs: 3_600_000 };

const categorySchema = z.object({
  slug: z.string(),
  path: z.array(z.string()),
  product_count: z.int(),
});

/** Routes of this file. */
export const CATEGORY_ROUTES = [
  read({
    method: "GET",
    path: "/v1/categories",
    operation: "listCategories",
    summary: "All categories with the number of their offers.",
    answer: z.object({ items: z.array(categorySchema) }),
    times: TIMES,
    load: async (reads) => {
      const { rows } = await reads.read(
        `select c.category as slug, c.count as product_count, one.category_path as path
         from (select category, count(*) from products where is_active group by category) c
         cross join lateral (select category_path from products p where p.is_active and p.category = c.category
           order by p.price_sgd limit 1) one
         order by c.count desc, c.category limit 2000`,
        [],
      );
      return { items: rows };
    },
  }),
  read({
    method: "GET",
    path: "/v1/categories/:slug",
    operation: "getCategory",
    summary: "One category: its prices and largest brands.",
    params: z.object({ slug: z.string().max(128) }),
    answer: categorySchema.extend({
      min_price_sgd: z.number(),
      max_price_sgd: z.number(),
      brands: z.array(z.object({ brand: z.string(), count: z.int() })),
    }),
    times: TIMES,
    load: async (reads, { params }) => {
      const { rows } = await reads.read(
        `with inside as (select brand, category_path, price_sgd from products where is_active and category = $1)
         select $1 as slug, count(*) as product_count, min(price_sgd) as min_price_sgd, max(price_sgd) as max_price_sgd,
           coalesce((select category_path from inside limit 1), '{}') as path,
           (select coalesce(jsonb_agg(b), '[]') from (select brand, count(*) from inside where brand is not null
             group by brand order by 2 desc, 1 limit 10) b) as brands
         from inside having count(*) > 0`,
        [params.slug],
      );
      const [category] = rows;
      if (category === undefined)
        throw new ApiProblem("CATEGORY_NOT_FOUND", `no offer is in the category ${params.slug}`);
      return category;
    },
  }),
];
