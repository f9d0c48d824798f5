/** Doc comments: every export has one, and each folder's main file opens with its nouns and invariants. */
import { child, children, nameOf, parse, type SourceComment, type SyntaxNode } from "./syntax.ts";
import { filesMatching, lineAt, type Rule, type Violation } from "./tree.ts";

const HEADER_LINES_MAX = 40;
const TESTS = /\.test\.ts$/;
// The rows of the error registry: each row's `meaning` is its documentation.
const TABLES = /^src\/errors\/codes\//;

/** Every exported declaration has a doc comment right above it. */
export const exportsDocumentedRule: Rule = (tree) =>
  filesMatching(tree, /^(src|catalog|tools|bench)\/.*\.ts$/)
    .filter(([file]) => !TESTS.test(file) && !TABLES.test(file))
    .flatMap(([file, text]) => {
      const { program, comments } = parse(file, text);
      const violations: Violation[] = [];
      let documented = "";
      for (const node of children(program, "body")) {
        const declared = exportedName(node);
        if (declared === undefined) continue;
        // The later signatures of an overloaded function share the first one's comment.
        if (declared !== documented && !hasDocComment(text, comments, node)) {
          const message = `${declared} is exported and has no doc comment: say its promise, units and errors`;
          violations.push({ file, line: lineAt(text, node.start), message });
        }
        documented = declared;
      }
      return violations;
    });

function exportedName(node: SyntaxNode): string | undefined {
  if (node.type !== "ExportNamedDeclaration") return undefined;
  const declaration = child(node, "declaration");
  if (declaration === undefined) return undefined;
  const [first] = children(declaration, "declarations");
  return nameOf(child(first ?? declaration, "id"));
}

function hasDocComment(text: string, comments: readonly SourceComment[], node: SyntaxNode): boolean {
  return comments.some(
    (comment) =>
      comment.kind === "block" && comment.text.startsWith("*") && text.slice(comment.end, node.start).trim() === "",
  );
}

/** Some file of each folder right below `src` and `catalog` opens with a header under 40 lines that names nouns and invariants. */
export const headersRule: Rule = (tree) => {
  const headers = new Map<string, boolean>();
  const violations: Violation[] = [];
  for (const [file, text] of filesMatching(tree, /^(src|catalog)\/[^/]+\/.*\.ts$/)) {
    const folder = file.split("/").slice(0, 2).join("/");
    const header = headerOf(file, text);
    if (header !== undefined && header.split("\n").length >= HEADER_LINES_MAX) {
      violations.push({ file, message: `the header has ${header.split("\n").length} lines: stay under 40` });
    }
    const complete = header !== undefined && /\bnouns?\b/i.test(header) && /\binvariants?\b/i.test(header);
    headers.set(folder, (headers.get(folder) ?? false) || complete);
  }
  for (const [folder, complete] of headers) {
    const message = 'no file opens with a header that says "Nouns:" and "Invariants:", as src/store/store.ts does';
    if (!complete) violations.push({ file: folder, message });
  }
  return violations;
};

function headerOf(file: string, text: string): string | undefined {
  const first = parse(file, text).comments[0];
  return first?.kind === "block" && text.slice(0, first.start).trim() === "" ? first.text : undefined;
}
