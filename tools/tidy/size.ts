/**
 * How long a file and a function may be. What is already too long stands in ratchet.json and may only shrink.
 */
import { child, nameOf, parse, type SyntaxNode, walk } from "./syntax.ts";
import { lineAt, type Rule, type Tree, type Violation } from "./tree.ts";

const FILE_LINES_MAX = 600;
const FUNCTION_LINES_MAX = 70;
const RATCHET = "tools/tidy/ratchet.json";
const OURS = /^(src|catalog|test|tools|bench)\/.*\.ts$/;
// Tables of data, read by looking something up and not from top to bottom.
const TABLES = /^src\/wares\/categories\//;
// Its bytes go into every vault, and it is one file that needs no other: docs/formats/vault.md.
const ONE_BY_DESIGN = /^(src\/standalone\/main|test\/golden\/vault-[^/]+\/programs\/[^/]+)\.ts$/;
// A group of tests is a heading, not a function.
const GROUPS = new Set(["describe", "suite"]);

/** Files stop at 600 lines, functions at 70. */
export const sizeRule: Rule = (tree) => {
  const allowed = readRatchet(tree);
  const violations: Violation[] = [];
  const seen = new Set<string>();
  for (const { name, file, line, lines, linesMax } of sizes(tree)) {
    const ratchet = allowed.get(name);
    seen.add(name);
    const place = { file, ...(line === undefined ? {} : { line }) };
    if (lines > (ratchet ?? linesMax)) {
      violations.push({ ...place, message: `${name} has ${lines} lines, ${ratchet ?? linesMax} are allowed` });
    } else if (ratchet !== undefined && lines < ratchet) {
      const next = lines > linesMax ? `lower its entry in ${RATCHET} to ${lines}` : `take it out of ${RATCHET}`;
      violations.push({ ...place, message: `${name} has shrunk: ${next}` });
    }
  }
  for (const name of allowed.keys()) {
    if (!seen.has(name)) violations.push({ file: RATCHET, message: `${name} is no more: take it out` });
  }
  return violations;
};

type Sized = { name: string; file: string; line?: number; lines: number; linesMax: number };

function* sizes(tree: Tree): Generator<Sized> {
  for (const [file, text] of tree) {
    if (!OURS.test(file)) continue;
    if (!TABLES.test(file) && !ONE_BY_DESIGN.test(file))
      yield { name: file, file, lines: text.split("\n").length - 1, linesMax: FILE_LINES_MAX };
    const found: Sized[] = [];
    walk(parse(file, text).program, (node, parents) => {
      if (!isFunction(node) || isGroup(parents)) return;
      const line = lineAt(text, node.start);
      const lines = lineAt(text, node.end) - line + 1;
      found.push({ name: `${file}#${functionName(node, parents)}`, file, line, lines, linesMax: FUNCTION_LINES_MAX });
    });
    yield* found;
  }
}

function isFunction({ type }: SyntaxNode): boolean {
  return type === "FunctionDeclaration" || type === "FunctionExpression" || type === "ArrowFunctionExpression";
}

function isGroup(parents: readonly SyntaxNode[]): boolean {
  const parent = parents.at(-1);
  return parent?.type === "CallExpression" && GROUPS.has(nameOf(child(parent, "callee")) ?? "");
}

function functionName(node: SyntaxNode, parents: readonly SyntaxNode[]): string {
  const parent = parents.at(-1);
  const named = child(node, "id") ?? (parent && (child(parent, "key") ?? child(parent, "id")));
  return nameOf(named) ?? "a function without a name";
}

function readRatchet(tree: Tree): ReadonlyMap<string, number> {
  const parsed: unknown = JSON.parse(tree.get(RATCHET) ?? "{}");
  if (typeof parsed !== "object" || parsed === null) throw new Error(`${RATCHET} is not an object`);
  return new Map(Object.entries(parsed).map(([name, lines]) => [name, Number(lines)]));
}
