import type { Route } from "./route.ts";
import { CATEGORY_ROUTES } from "./routes/categories.ts";
import { CLICK_ROUTES } from "./routes/clicks.ts";
import { DISCOVERY_ROUTES } from "./routes/discovery.ts";
import { INGEST_ROUTES } from "./routes/ingest.ts";
import { KEY_ROUTES } from "./routes/keys.ts";
import { PAGE_ROUTES } from "./routes/pages.ts";
import { PRICE_ROUTES } from "./routes/prices.ts";
import { PRODUCT_ROUTES } from "./routes/products.ts";
import { SEARCH_ROUTES } from "./routes/search.ts";
import { WEBHOOK_ROUTES } from "./routes/webhooks.ts";

/** All routes. */
export const ROUTES: readonly Route[] = [
  ...SEARCH_ROUTES,
  ...PRODUCT_ROUTES,
  ...PRICE_ROUTES,
  ...CATEGORY_ROUTES,
  ...KEY_ROUTES,
  ...INGEST_ROUTES,
  ...WEBHOOK_ROUTES,
  ...CLICK_ROUTES,
  ...PAGE_ROUTES,
  ...DISCOVERY_ROUTES,
];
