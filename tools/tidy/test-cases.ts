/** Test cases: named by a sentence of behaviour, and all of them run. */
import { child, children, nameOf, parse, type SyntaxNode, stringOf, walk } from "./syntax.ts";
import { filesMatching, lineAt, type Rule, type Violation } from "./tree.ts";

const CASES = new Set(["test", "it"]);
const ESCAPES = new Set(["only", "skip", "todo"]);
// A sentence begins in lower case, unless its first word is a name that never does.
const CAPITALISED = /^(PostgreSQL|Postgres|Debian|Node|Lifeboat|Unix|Linux|Ctrl)\b/;

/** Case names are sentences, nothing is focused, skipped or left to do. */
export const testCasesRule: Rule = (tree) =>
  filesMatching(tree, /^(src|catalog|test|tools|bench)\/.*\.ts$/).flatMap(([file, text]) => {
    if (!/["']node:test["']/.test(text)) return [];
    const violations: Violation[] = [];
    walk(parse(file, text).program, (node) => {
      const message = complaint(node);
      if (message !== undefined) violations.push({ file, line: lineAt(text, node.start), message });
    });
    return violations;
  });

function complaint(node: SyntaxNode): string | undefined {
  if (node.type !== "CallExpression") return undefined;
  const callee = child(node, "callee");
  const property = callee?.type === "MemberExpression" ? nameOf(child(callee, "property")) : undefined;
  const object = callee === undefined ? undefined : nameOf(child(callee, "object"));
  if (property !== undefined && ESCAPES.has(property) && /^(test|it|describe|suite|t|context)$/.test(object ?? "")) {
    return `.${property} hides tests: every test runs, always`;
  }
  const isCase = CASES.has(nameOf(callee) ?? "") || (property === "test" && /^(t|context)$/.test(object ?? ""));
  if (!isCase) return undefined;
  const [first, ...rest] = children(node, "arguments");
  const hiding = rest.flatMap((option) => children(option, "properties")).find((option) => isHiding(option));
  if (hiding !== undefined) return "an option hides this test: every test runs, always";
  return nameComplaint(stringOf(first));
}

function isHiding(option: SyntaxNode): boolean {
  return ESCAPES.has(nameOf(child(option, "key")) ?? "");
}

function nameComplaint(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  if (!name.trim().includes(" ")) return `the case name "${name}" is not a sentence of behaviour`;
  // Two capitals or a digit behind the first letter are an abbreviation: WAL, LSN, A2.
  if (/^[A-Z][a-z ]/.test(name) && !CAPITALISED.test(name)) return `the case name "${name}" begins with a capital`;
  return undefined;
}
