/** Checks rows one by one. Pure. */
import { type CheckedRow, PRICE_MAX, type Rejection, type RejectionCode, rowSchema } from "./row.ts";
import { storableOf } from "./storable.ts";

/** A row and its number at the source, from 1. */
export type NumberedRow = { readonly rowNumber: number; readonly value: unknown };

/** What a batch came to. */
export type CheckedBatch = {
  readonly rows: readonly (CheckedRow & { readonly row_number: number })[];
  readonly rejections: readonly Rejection[];
};

/** A price of 1 of these is no placeholder but change: their smallest coin buys nothing. */
const PRICE_MIN: Readonly<Record<string, number>> = { IDR: 100, VND: 500, JPY: 2, THB: 2, PHP: 2 };

/**
 * Sorts a batch into rows to take and rejections. Of two rows with one sku the first is taken. `perSgd` says what a dollar of
 * Singapore is worth in each currency that is taken.
 */
export function checkBatch(
  values: readonly NumberedRow[],
  { perSgd }: { readonly perSgd: ReadonlyMap<string, number> },
): CheckedBatch {
  const rows = new Map<string, CheckedRow & { readonly row_number: number }>();
  const rejections: Rejection[] = [];
  for (const { rowNumber, value } of values) {
    const reject = (code: RejectionCode, message: string): void => {
      rejections.push({ rowNumber, sku: skuOf(value), code, message });
    };
    const missingPrice =
      isRecord(value) && (value["price"] === undefined || value["price"] === null || value["price"] === "");
    const parsed = rowSchema.safeParse(value);
    if (missingPrice) reject("price-missing", "price: the row has none");
    else if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const field = issue?.path.join(".") ?? "";
      const missing = isRecord(value) && field !== "" && value[`${issue?.path[0]?.toString()}`] === undefined;
      reject(
        missing ? "missing-field" : "invalid-field",
        missing ? `${field}: is missing` : `${field === "" ? "the row" : field}: ${issue?.message}`,
      );
    } else {
      const problem = problemOf(parsed.data, perSgd);
      if (problem !== undefined) reject(...problem);
      else if (rows.has(parsed.data.sku)) reject("duplicate-sku", `sku: ${parsed.data.sku} came before in this batch`);
      else rows.set(parsed.data.sku, { ...parsed.data, row_number: rowNumber });
    }
  }
  return { rows: [...rows.values()], rejections };
}

function problemOf(
  row: CheckedRow,
  perSgd: ReadonlyMap<string, number>,
): readonly [code: RejectionCode, message: string] | undefined {
  const { price, currency, gtin } = row;
  const rate = perSgd.get(currency);
  if (rate === undefined) return ["unknown-currency", `currency: there is no exchange rate of ${currency}`];
  if (price / rate > PRICE_MAX) return ["invalid-field", `price: ${price} ${currency} is out of range`];
  if (price < 0.005) return ["price-not-positive", `price: ${price} is not above 0`];
  // Pages without a price were given a 1 by scrapers, and shoppers saw it.
  if (price === 1 && row.price_confirmed !== true) {
    return ["price-placeholder", "price: exactly 1 stands for a missing price; send price_confirmed if it is meant"];
  }
  const least = PRICE_MIN[currency];
  if (least !== undefined && price < least) {
    return ["price-placeholder", `price: ${price} ${currency} is below what anything costs (${least})`];
  }
  if (row.list_price !== null && row.list_price < 0.005) {
    return ["price-not-positive", `list_price: ${row.list_price} is not above 0`];
  }
  if (gtin !== null && !hasCheckDigit(gtin)) return ["invalid-gtin", `gtin: the last digit of ${gtin} does not fit`];
  return undefined;
}

/** Whether the last digit is the one that GS1's rule gives: weights 3 and 1 in turn, from the right. */
export function hasCheckDigit(gtin: string): boolean {
  let sum = 0;
  for (let index = 0; index < gtin.length - 1; index++) {
    const digit = gtin.charCodeAt(gtin.length - 2 - index) - 48;
    sum += index % 2 === 0 ? 3 * digit : digit;
  }
  return (10 - (sum % 10)) % 10 === gtin.charCodeAt(gtin.length - 1) - 48;
}

function skuOf(value: unknown): string | null {
  if (!isRecord(value)) return null;
  const sku = value["sku"];
  return typeof sku === "string" ? storableOf(sku, 128) : null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
