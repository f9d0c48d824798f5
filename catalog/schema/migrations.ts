import { OFFERS } from "./0001-offers.ts";
import { CALLERS } from "./0002-callers.ts";
import { SOURCES } from "./0003-sources.ts";
import { NEAR_WORDS } from "./0004-near-words.ts";
import { SIGHTINGS } from "./0005-sightings.ts";
import { LARGE_CATALOGUES } from "./0006-large-catalogues.ts";
import { CHANGES } from "./0007-changes.ts";
import { TITLES } from "./0008-titles.ts";
import { WEBHOOK_RESTS } from "./0009-webhook-rests.ts";
import { PLACES } from "./0010-places.ts";
import { WORDS_BY_PLACE } from "./0011-words-by-place.ts";
import { WORDS_ONCE } from "./0012-words-once.ts";
import { KEYS_REPLACED } from "./0013-keys-replaced.ts";
import { DELIVERIES_BY_WEBHOOK } from "./0014-deliveries-by-webhook.ts";
import { SOURCES_READ_AS } from "./0015-sources-read-as.ts";
import type { Migration } from "./migration.ts";

/** All migrations, in their order; numbers count from 1 without gaps. */
export const MIGRATIONS: readonly Migration[] = [
  OFFERS,
  CALLERS,
  SOURCES,
  NEAR_WORDS,
  SIGHTINGS,
  LARGE_CATALOGUES,
  CHANGES,
  TITLES,
  WEBHOOK_RESTS,
  PLACES,
  WORDS_BY_PLACE,
  WORDS_ONCE,
  KEYS_REPLACED,
  DELIVERIES_BY_WEBHOOK,
  SOURCES_READ_AS,
];
