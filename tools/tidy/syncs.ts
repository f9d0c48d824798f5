/**
 * Every sync has a row in docs/formats/durability.md, with the test that goes red without it.
 *
 * Nouns: a *sync* is a call of the files port that brings something to stable storage; its *label* is the file, the function
 * and the call: `src/wal/spool.ts flush: sync`. Two alike in one function get numbers.
 */
import { child, nameOf, parse, type SyntaxNode, walk } from "./syntax.ts";
import { filesMatching, lineAt, type Rule, type Tree, type Violation } from "./tree.ts";

const PAGE = "docs/formats/durability.md";
/** The port itself and its wrappers pass syncs on; they ask for none. */
const SOURCES = /^src\/(?!platform\/(files|faulty-files|memory-files|owned-files)\.ts$)(?!.*\.test\.ts$).*\.ts$/;
const CALLS = new Set(["sync", "syncNow", "syncFolder", "syncFileSystem"]);
const ROW = /^\| `(src\/[^`]+)` \| (?:`([^`]+)`|([^|`]+)) \|/gm;

/** One sync in the sources; lines count from 1. */
export type SyncCall = {
  readonly file: string;
  readonly label: string;
  readonly firstLine: number;
  readonly lastLine: number;
};

/** All syncs of the sources. */
export function syncCallsOf(tree: Tree): readonly SyncCall[] {
  return filesMatching(tree, SOURCES).flatMap(([file, text]) => {
    if (![...CALLS].some((name) => text.includes(`${name}(`))) return [];
    const found: { readonly node: SyntaxNode; readonly name: string }[] = [];
    walk(parse(file, text).program, (node, parents) => {
      if (node.type !== "CallExpression") return;
      const callee = child(node, "callee");
      const property = callee?.type === "MemberExpression" ? child(callee, "property") : undefined;
      // A private method of that name is no call of the port.
      const called = property?.type === "Identifier" ? nameOf(property) : undefined;
      if (called === undefined || !CALLS.has(called)) return;
      found.push({ node, name: `${file} ${functionOf(parents)}: ${called}` });
    });
    return found.map(({ node, name }, index) => {
      const alike = found.filter((each) => each.name === name).length > 1;
      const number = found.slice(0, index + 1).filter((each) => each.name === name).length;
      const label = alike ? `${name} ${number}` : name;
      return { file, label, firstLine: lineAt(text, node.start), lastLine: lineAt(text, node.end) };
    });
  });
}

/** The nearest function with a name. */
function functionOf(parents: readonly SyntaxNode[]): string {
  for (const node of parents.toReversed()) {
    const named = node.type === "MethodDefinition" ? child(node, "key") : child(node, "id");
    const isFunction = ["MethodDefinition", "FunctionDeclaration", "VariableDeclarator"].includes(node.type);
    const name = isFunction ? nameOf(named) : undefined;
    if (name !== undefined) return name;
  }
  return "module";
}

/** Each sync has one row, and each row names a sync and a test file that speaks of it, or says why there is none. */
export const syncsRule: Rule = (tree) => {
  const labels = new Set(syncCallsOf(tree).map(({ label }) => label));
  const rows = [...(tree.get(PAGE) ?? "").matchAll(ROW)].map(([, label = "", test]) => ({ label, test }));
  const violations: Violation[] = [];
  for (const label of labels) {
    const count = rows.filter((row) => row.label === label).length;
    if (count !== 1) violations.push({ file: PAGE, message: `has ${count} rows for the sync \`${label}\`, not one` });
  }
  for (const { label, test } of rows) {
    if (!labels.has(label)) violations.push({ file: PAGE, message: `has a row for \`${label}\`, which is no sync` });
    if (test === undefined) continue;
    const text = tree.get(test);
    if (text === undefined || !text.includes(label)) {
      violations.push({ file: PAGE, message: `says that ${test} misses \`${label}\`; it does not speak of it` });
    }
  }
  return violations;
};
