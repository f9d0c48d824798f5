/** Dependencies: each is explained, pinned, and in a lockfile that `npm ci` accepts everywhere. */
import { type Lockfile, missingOptionals } from "../set-up/complete-lockfile.ts";
import { filesMatching, type Rule, type Violation } from "./tree.ts";

const PAGE = "docs/dependencies.md";
const WORKSPACES = ["package.json", "catalog/package.json"];
const RUNTIME_MAX = 10;

/** Every dependency has a line in docs/dependencies.md, and the page names no other. */
export const dependenciesRule: Rule = (tree) => {
  const violations: Violation[] = [];
  const explained = [...(tree.get(PAGE) ?? "").matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] ?? "");
  const asked = new Set<string>();
  for (const file of WORKSPACES) {
    const { runtime, all } = dependenciesOf(tree.get(file) ?? "{}");
    for (const [name, version] of Object.entries(all)) {
      asked.add(name);
      if (!explained.includes(name)) violations.push({ file: PAGE, message: `has no line that says why ${name}` });
      if (!/^\d/.test(version)) violations.push({ file, message: `${name} is not pinned: ${version}` });
    }
    const count = Object.keys(runtime).length;
    if (count > RUNTIME_MAX) {
      violations.push({ file, message: `${count} runtime dependencies, ${RUNTIME_MAX} are allowed` });
    }
  }
  for (const name of explained.filter((each) => !asked.has(each))) {
    violations.push({ file: PAGE, message: `explains ${name}, which is no dependency` });
  }
  return violations;
};

type Versions = Readonly<Record<string, string>>;

function dependenciesOf(text: string): { readonly runtime: Versions; readonly all: Versions } {
  const parsed: { dependencies?: Versions; devDependencies?: Versions } = JSON.parse(text);
  const runtime = parsed.dependencies ?? {};
  return { runtime, all: { ...runtime, ...parsed.devDependencies } };
}

/** Lockfiles name every optional package their packages ask for, else `npm ci` refuses them. */
export const lockfilesRule: Rule = (tree) =>
  filesMatching(tree, /(^|\/)package-lock\.json$/).flatMap(([file, text]) => {
    const lock: Lockfile = JSON.parse(text);
    return missingOptionals(lock).map(({ name }) => ({ file, message: `lacks ${name}: run npm run lockfile` }));
  });
