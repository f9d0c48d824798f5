/**
 * Every file that takes JSON, YAML or numbers out of bytes has a row in docs/formats/parsers.md, with the test that gives it
 * nearly right bytes.
 *
 * Nouns: a *reading call* is one that the list below names; random bytes are made here and are none.
 */
import { filesMatching, type Rule, type Tree, type Violation } from "./tree.ts";

const PAGE = "docs/formats/parsers.md";
const SOURCES = /^(src|catalog)\/(?!.*\.test\.ts$).*\.ts$/;
const READS =
  /\bJSON\.parse\(|\bparseDocument\(|import \{ parse \} from "yaml"|\.(read(Big)?U?Int\d*|readUIntLE|readUIntBE|get(Big)?U?int)\w*\(/i;
const RANDOM = /\brandom\(\d+\)\.\w+\(/g;
const ROW = /^\| [^|]+ \| `((?:src|catalog)\/[^`]+)` \| (?:`([^`]+)`: ([^|]+?)|none: [^|]+) \|$/gm;
const PLACE = /^\| [^|]+ \| `(?:src|catalog)\//gm;

/** Files with a reading call. */
export function readersOf(tree: Tree): readonly string[] {
  return filesMatching(tree, SOURCES)
    .filter(([, text]) => READS.test(text.replaceAll(RANDOM, "")))
    .map(([file]) => file);
}

/** Each reader has a row, and each row names a file that is there and a test that is called so, or says why there is none. */
export const parsersRule: Rule = (tree) => {
  const page = tree.get(PAGE) ?? "";
  const rows = [...page.matchAll(ROW)].map(([, file = "", test, words = ""]) => ({ file, test, words }));
  const violations: Violation[] = [];
  const tell = (message: string): void => {
    violations.push({ file: PAGE, message });
  };
  if (rows.length !== [...page.matchAll(PLACE)].length)
    tell("has a row that names neither its test nor why there is none");
  for (const file of readersOf(tree)) {
    if (!rows.some((row) => row.file === file)) tell(`has no row for ${file}, which reads bytes`);
  }
  for (const { file, test, words } of rows) {
    if (!tree.has(file)) tell(`has a row for ${file}, which is not there`);
    if (test === undefined) continue;
    if (tree.get(test)?.includes(words) !== true) tell(`says that ${test} tries "${words}" on ${file}; it does not`);
  }
  return violations;
};
