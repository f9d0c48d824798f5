/** In which order products come. */

/** The orders one can ask for. */
export const SORTS = ["relevance", "price_asc", "price_desc", "discount_desc", "newest"] as const;

/** One of them. */
export type Sort = (typeof SORTS)[number];

/** The column that each sorts by, its type and its direction; ids break ties, upwards but for `newest`. */
export const SORT_KEYS: Readonly<
  Record<
    Sort,
    {
      readonly column: "score" | "price_sgd" | "discount_percent" | "updated_at";
      readonly type: "integer" | "numeric" | "smallint" | "timestamptz";
      readonly direction: "asc" | "desc";
      readonly ids: "asc" | "desc";
    }
  >
> = {
  relevance: { column: "score", type: "integer", direction: "desc", ids: "asc" },
  price_asc: { column: "price_sgd", type: "numeric", direction: "asc", ids: "asc" },
  price_desc: { column: "price_sgd", type: "numeric", direction: "desc", ids: "asc" },
  discount_desc: { column: "discount_percent", type: "smallint", direction: "desc", ids: "asc" },
  newest: { column: "updated_at", type: "timestamptz", direction: "desc", ids: "desc" },
};
