/**
 * Article numbers with their check digit. Source: GS1 General Specifications, "Standard check digit calculations".
 */
import { assert } from "../errors/error.ts";

/** The GTIN-13 of twelve digits: the digits and their check digit. */
export function gtinOf(digits: string): string {
  assert(digits.length === 12, `an article number has 12 digits before its check digit, not ${digits}`);
  return digits + String(checkDigit(digits));
}

/** True when the thirteenth digit is the check digit of the twelve before it. */
export function isGtin(text: string): boolean {
  return /^\d{13}$/.test(text) && checkDigit(text) === text.charCodeAt(12) - 48;
}

function checkDigit(digits: string): number {
  let sum = 0;
  for (let index = 0; index < 12; index++) sum += (digits.charCodeAt(index) - 48) * (index % 2 === 0 ? 1 : 3);
  return (10 - (sum % 10)) % 10;
}
