/**
 * Prices as feeds write them.
 * Source of the digits behind the point: ISO 4217, and the usage of shops where nobody writes the cents that it lists (IDR).
 */

/** Digits behind the point of each currency that we take. */
const DECIMALS: Readonly<Record<string, number>> = {
  AUD: 2,
  CNY: 2,
  EUR: 2,
  GBP: 2,
  HKD: 2,
  IDR: 0,
  INR: 2,
  JPY: 0,
  KRW: 0,
  MYR: 2,
  NZD: 2,
  PHP: 2,
  SGD: 2,
  THB: 2,
  TWD: 2,
  USD: 2,
  VND: 0,
};

/** Digits behind the point; undefined for a currency that we do not take. */
export function currencyDecimals(currency: string): number | undefined {
  return Object.hasOwn(DECIMALS, currency) ? DECIMALS[currency] : undefined;
}

/** An amount as written, not yet judged. */
export type WrittenPrice = {
  /** Digits before and behind the point, without separators and leading zeros; "0" where there are none before it. */
  readonly whole: string;
  /** Without zeros at its end. */
  readonly fraction: string;
  /** Written with a point: "1.00" and not "1". */
  readonly pointed: boolean;
  readonly currency: string | undefined;
};

/** Longest price that is looked at: any currency's largest with its code is half of it. */
const PRICE_CHARACTERS_MAX = 40;
const PRICE = /^(?:([A-Z]{3})\s*)?(\d+|\d{1,3}(?:,\d{3})+)(?:\.(\d+))?(?:\s*([A-Z]{3}))?$/;

/**
 * Reads `15.00 USD`, `USD 1,299.50` and `15`; undefined for anything else. So for `150.000 IDR`: Indonesia and Vietnam write thousands
 * with a point, and whether these are thousands or a fraction whose last digit says nothing nobody can tell.
 */
export function readPrice(text: string): WrittenPrice | undefined {
  const trimmed = text.trim().toUpperCase();
  if (trimmed.length > PRICE_CHARACTERS_MAX) return undefined;
  const found = PRICE.exec(trimmed);
  if (found === null) return undefined;
  const [, before, digits = "", fraction, behind] = found;
  if (before !== undefined && behind !== undefined) return undefined;
  if (fraction !== undefined && /^\d\d0$/.test(fraction) && /^[1-9]\d{0,2}$/.test(digits)) return undefined;
  return {
    whole: digits.replaceAll(",", "").replace(/^0+(?=\d)/, ""),
    fraction: (fraction ?? "").replace(/0+$/, ""),
    pointed: fraction !== undefined,
    currency: before ?? behind,
  };
}

/** The amount with the digits that its currency has: `15.50`, `249000`. */
export function decimalOf(price: Pick<WrittenPrice, "whole" | "fraction">, decimals: number): string {
  return decimals === 0 ? price.whole : `${price.whole}.${price.fraction.padEnd(decimals, "0")}`;
}
