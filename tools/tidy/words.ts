/**
 * One word per thing: docs/glossary.md has a table of words, and the synonyms in its last column are banned.
 */
import { lineAt, type Rule, type Tree, type Violation } from "./tree.ts";

const GLOSSARY = "docs/glossary.md";
const CHECKED = /^(src|catalog|test|tools|bench|docs|changelog|README|CONTRIBUTING).*\.(ts|md|sh|sql)$/;
// The glossary and this rule name the words; product texts are data.
const EXEMPT = /^(docs\/glossary\.md|tools\/tidy\/words.*|src\/wares\/.*)$/;

/** No banned synonym in sources or documents, in identifiers neither. */
export const wordsRule: Rule = (tree) => {
  const banned = bannedWords(tree.get(GLOSSARY) ?? "");
  if (banned.size === 0) return [{ file: GLOSSARY, message: "has no table of words with banned synonyms" }];
  const alternatives = [...banned.keys()].sort((a, b) => b.length - a.length).map((word) => word.replace(" ", "[ -]"));
  const pattern = new RegExp(`(?<![\\w-])(?:${alternatives.join("|")})s?(?![\\w-])`, "gi");
  return checkedTexts(tree).flatMap(([file, text]) => breaches(file, text, { pattern, banned }));
};

/** The banned synonyms of the glossary's table and the word to use for each. */
export function bannedWords(glossary: string): ReadonlyMap<string, string> {
  const banned = new Map<string, string>();
  for (const row of glossary.matchAll(/^\| \*\*(.+?)\*\* \|.*\| ?([^|]*?) ?\|$/gm)) {
    for (const synonym of (row[2] ?? "").split(",").map((each) => each.trim().toLowerCase())) {
      if (synonym !== "") banned.set(synonym, row[1] ?? "");
    }
  }
  return banned;
}

function checkedTexts(tree: Tree): readonly (readonly [string, string])[] {
  return [...tree].filter(([file]) => CHECKED.test(file) && !EXEMPT.test(file));
}

function breaches(
  file: string,
  text: string,
  rule: { readonly pattern: RegExp; readonly banned: ReadonlyMap<string, string> },
): readonly Violation[] {
  // Identifiers are read as words too: "masterHost" says "master Host". Offsets shift, lines do not.
  const spaced = file.endsWith(".ts") ? text.replace(/([a-z])([A-Z])/g, "$1 $2") : text;
  return [...spaced.matchAll(rule.pattern)].map((match) => {
    const found = match[0].toLowerCase().replace("-", " ");
    const word = rule.banned.get(found) ?? rule.banned.get(found.replace(/s$/, ""));
    return { file, line: lineAt(spaced, match.index), message: `says "${match[0]}": our word is "${word}"` };
  });
}
