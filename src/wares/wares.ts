/**
 * Wares: made-up things that shops sell, looking real. For the demo's database and for generated feeds.
 *
 * Nouns: a *category* holds the words its wares are made of (category.ts, categories/); a *family* is the kind of shop that
 * sells it; a *market* is a country with its currency and its shops (markets.ts).
 * Invariants: nothing here knows the time or the machine; the same numbers drawn give the same ware everywhere; all names of
 * brands and shops are invented.
 */
import { ELECTRONICS } from "./categories/electronics.ts";
import { EVERYDAY } from "./categories/everyday.ts";
import { FASHION } from "./categories/fashion.ts";
import { HOME } from "./categories/home.ts";
import { TOOLS } from "./categories/tools.ts";
import { type Category, type CompiledCategory, compileCategory } from "./category.ts";
import type { Family } from "./markets.ts";

/** A category and the shops that sell its wares. */
export type Wares = { readonly family: Family; readonly category: CompiledCategory };

/** All categories, ready for drawing from. */
export const WARES: readonly Wares[] = [
  ...compiled("tools", TOOLS),
  ...compiled("electronics", ELECTRONICS),
  ...compiled("home", HOME),
  ...compiled("fashion", FASHION),
  ...compiled("everyday", EVERYDAY),
];

function compiled(family: Family, categories: readonly Category[]): readonly Wares[] {
  return categories.map((category) => ({ family, category: compileCategory(category) }));
}

/** Odd and not a multiple of 5, so that multiplying by it modulo a power of ten gives every number once. */
const SPREAD = 387_420_489;

/** Nine digits, different for every number up to a thousand million, that do not count upwards in step. */
export function spreadOf(number: number): number {
  return Number((BigInt(number) * BigInt(SPREAD)) % 1_000_000_000n);
}

/** A title as part of an address. */
export function slugOf(title: string): string {
  // Letters lose their accents first; most titles have none, and normalising is slow.
  const plain = /[^ -~]/.test(title) ? title.normalize("NFD").replaceAll(/[\u0300-\u036f]/g, "") : title;
  return plain
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
}
