/**
 * Which passphrases can be typed again.
 *
 * An editor on Windows puts a byte order mark before the first word, and bytes that are no UTF-8 are all read as one and the same
 * character: what such a file gives opens for nobody who types it, or for many who type something else. Invariant: it is refused
 * where it would be wrapped for, and goes on opening what an earlier version took it for.
 */
import { LifeboatError } from "../errors/error.ts";

const BYTE_ORDER_MARK = "\uFEFF";
/** What decoding puts in the place of bytes that are no UTF-8. */
const REPLACEMENT = "\uFFFD";

/** What is wrong with a passphrase, as a predicate; undefined when it can be typed again. */
export function passphraseFault(passphrase: string): string | undefined {
  if (passphrase.startsWith(BYTE_ORDER_MARK)) return "begins with a byte order mark, which is no part of what is typed";
  if (passphrase.includes(REPLACEMENT))
    return "holds bytes that are no UTF-8, which are all taken for the same character";
  return undefined;
}

/** Throws `config.secret-unusable` for one that cannot be typed again. */
export function refuseFaultyPassphrase(passphrase: string): void {
  const fault = passphraseFault(passphrase);
  if (fault === undefined) return;
  throw new LifeboatError("config.secret-unusable", {
    message: `the new passphrase ${fault}`,
    remedy:
      "Save its file as UTF-8 without a byte order mark, or choose letters and digits; for random bytes, their base64.",
  });
}
