/**
 * TypeScript sources as syntax trees. TypeScript 7 has no interface for programs, so the parser is oxc's.
 */
import { parseSync } from "oxc-parser";

/** A node of the syntax tree in ESTree form, read generically. */
export type SyntaxNode = {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
};

/** A comment with its place in the text. */
export type SourceComment = {
  readonly kind: "block" | "line";
  readonly text: string;
  readonly start: number;
  readonly end: number;
};

/** A parsed file. */
export type Syntax = { readonly program: SyntaxNode; readonly comments: readonly SourceComment[] };

const cache = new Map<string, Syntax>();

/** Parses a source; throws on a syntax error. Answers for one text are kept, since every rule asks for the same. */
export function parse(file: string, text: string): Syntax {
  const key = `${file}\0${text}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  const result = parseSync(file, text);
  const [error] = result.errors;
  if (error !== undefined) throw new Error(`${file} cannot be parsed: ${error.message}`);
  const { program } = result;
  if (!isNode(program)) throw new Error(`${file} has no program`);
  const comments = result.comments.map(
    (comment): SourceComment => ({
      kind: comment.type === "Block" ? "block" : "line",
      text: comment.value,
      start: comment.start,
      end: comment.end,
    }),
  );
  const syntax = { program, comments };
  cache.set(key, syntax);
  return syntax;
}

/** Visits every node, parents first; `parents` ends with the nearest. */
export function walk(
  node: SyntaxNode,
  visit: (node: SyntaxNode, parents: readonly SyntaxNode[]) => void,
  parents: readonly SyntaxNode[] = [],
): void {
  visit(node, parents);
  const below = [...parents, node];
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) walk(child, visit, below);
    }
  }
}

/** True for a node of the syntax tree. */
export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && "type" in value && "start" in value && "end" in value;
}

/** A child node by field name. */
export function child(node: SyntaxNode, field: string): SyntaxNode | undefined {
  const value = node[field];
  return isNode(value) ? value : undefined;
}

/** The child nodes of a list field. */
export function children(node: SyntaxNode, field: string): readonly SyntaxNode[] {
  const value = node[field];
  return Array.isArray(value) ? value.filter(isNode) : [];
}

/** The name of an identifier, private ones included. */
export function nameOf(node: SyntaxNode | undefined): string | undefined {
  return typeof node?.["name"] === "string" ? node["name"] : undefined;
}

/** The value of a string literal, or of a template with its first piece only. */
export function stringOf(node: SyntaxNode | undefined): string | undefined {
  if (node?.type === "Literal" && typeof node["value"] === "string") return node["value"];
  if (node?.type !== "TemplateLiteral") return undefined;
  const pieces = children(node, "quasis").map((piece) => {
    const value = piece["value"];
    return typeof value === "object" && value !== null && "cooked" in value ? String(value.cooked) : "";
  });
  return pieces.join("…");
}

/** `object.property` of a plain member expression. */
export function memberOf(node: SyntaxNode): string | undefined {
  if (node.type !== "MemberExpression" || node["computed"] === true) return undefined;
  const object = nameOf(child(node, "object"));
  const property = nameOf(child(node, "property"));
  return object === undefined || property === undefined ? undefined : `${object}.${property}`;
}
