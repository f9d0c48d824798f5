/** Traces that must not stay in the tree: postponed work, and paths and hosts of the machine it was written on. */
import { matches, type Rule, type Violation } from "./tree.ts";

// The rule and its test name what they look for.
const OWN = /^tools\/tidy\/traces(\.test)?\.ts$/;
const POSTPONED = /\b(TODO|FIXME|XXX)\b/g;
// Tests of paths need paths of somebody.
const PLACES: readonly { readonly what: string; readonly pattern: RegExp; readonly where: RegExp }[] = [
  {
    what: "somebody's home folder",
    pattern: /(?<![\w.])(\/home\/[a-z][\w-]*|\/root\/\.\w+|\/Users\/\w+)/g,
    where: /^(?!test\/|.*\.test\.ts$)/,
  },
  { what: "a folder of one workplace", pattern: /(?<![\w.-])(\/work\/\w+|\.\.\/shared(?![\w-]))/g, where: /^/ },
  {
    what: "a package registry",
    pattern: /\b(registry\.(?!test\.)[a-z0-9-]+\.[a-z]{2,}|https?:\/\/[\w.-]+\.(?:internal|corp|lan))\b/g,
    where: /^/,
  },
  {
    what: "a download address in a lockfile",
    // A workspace is resolved to its folder.
    pattern: /^\s*("resolved"): "(?!catalog")/gm,
    where: /package-lock\.json$/,
  },
];

/** Nothing is postponed in the sources; an issue is the place for it. */
export const postponedRule: Rule = (tree) => find(tree, "postponed work", POSTPONED);

/** Nothing names the machine or network it was written on. */
export const placesRule: Rule = (tree) =>
  PLACES.flatMap(({ what, pattern, where }) => find(tree, what, pattern).filter(({ file }) => where.test(file)));

function find(tree: ReadonlyMap<string, string>, what: string, pattern: RegExp): readonly Violation[] {
  return [...tree]
    .filter(([file]) => !OWN.test(file) && file !== "LICENSE")
    .flatMap(([file, text]) =>
      [...matches(text, pattern)].map(({ found, line }) => ({ file, line, message: `names ${what}: ${found}` })),
    );
}
