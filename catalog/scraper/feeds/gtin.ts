/**
 * Article numbers of 8, 12, 13 or 14 digits.
 * Source: GS1 General Specifications, "Standard check digit calculations in GS1 data structures".
 */
import { hasCheckDigit } from "../../ingest/check.ts";

/**
 * A number with 13 digits, or 14 where the first is not 0 (a case of the article), so that the same article is the same text;
 * or what is wrong with it.
 */
export type ReadGtin = { readonly digits: string } | { readonly wrong: "gtin-malformed" | "gtin-check-digit" };

/** Reads an article number; spaces and hyphens between the digits are what people write. */
export function readGtin(text: string): ReadGtin {
  const digits = text.replaceAll(/[\s-]/g, "");
  if (!/^(\d{8}|\d{12,14})$/.test(digits) || /^0+$/.test(digits)) return { wrong: "gtin-malformed" };
  if (!hasCheckDigit(digits)) return { wrong: "gtin-check-digit" };
  return { digits: digits.padStart(14, "0").replace(/^0/, "") };
}
