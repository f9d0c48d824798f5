/** Documents: what they name exists, and what must be documented is. */
import { filesMatching, matches, type Rule, type Tree, type Violation } from "./tree.ts";

const PAGES = /\.md$/;
// Paths begin with a folder of the root; a path with a placeholder or a wildcard is an example.
const PATH =
  /`((?:src|catalog|docs|test|tools|bench|bin|toolchain|changelog|\.ci)\/[\w./-]*)`|`((?:src|catalog|docs|test|tools|bench)\/[\w./-]+):\d+`/g;
const LINK = /\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)/g;
const LINE_NUMBER = /\b([\w/-]+\.(?:ts|sh|sql):\d+)\b/g;

/** Paths and links in documents exist, and none carries a line number, which the next change makes wrong. */
export const namedPathsRule: Rule = (tree) =>
  filesMatching(tree, PAGES).flatMap(([file, text]) => {
    const violations: Violation[] = [];
    for (const { found, line } of matches(text, PATH)) {
      if (!exists(tree, found)) violations.push({ file, line, message: `names ${found}, which is not there` });
    }
    for (const { found, line } of matches(text, LINK)) {
      const target = resolve(file, found);
      if (!exists(tree, target)) violations.push({ file, line, message: `links to ${found}, which is not there` });
    }
    for (const { found, line } of matches(text, LINE_NUMBER)) {
      violations.push({ file, line, message: `${found} carries a line number: name the file only` });
    }
    return violations;
  });

function exists(tree: Tree, named: string): boolean {
  const path = named.replace(/\/$/, "");
  if (path.includes("node_modules")) return true;
  return tree.has(path) || [...tree.keys()].some((file) => file.startsWith(`${path}/`));
}

function resolve(from: string, link: string): string {
  return new URL(link, `file:///${from}`).pathname.slice(1);
}

/** Every folder below `src` and `catalog`, down to the second level, is in docs/architecture.md. */
export const architectureRule: Rule = (tree) => {
  const page = tree.get("docs/architecture.md") ?? "";
  const folders = new Set<string>();
  for (const [file] of filesMatching(tree, /^(src|catalog)\/.*\//)) {
    // Folders of `src` are named without it, those of the service with its name.
    const parts = file.split("/").slice(file.startsWith("src/") ? 1 : 0, -1);
    const deepest = file.startsWith("src/") ? [1, 2] : [2, 3];
    for (const depth of deepest) if (parts.length >= depth) folders.add(parts.slice(0, depth).join("/"));
  }
  return [...folders]
    .filter((folder) => !page.includes(`\`${folder}/\``) && !page.includes(`\`src/${folder}/\``))
    .map((folder) => ({ file: "docs/architecture.md", message: `does not say what \`${folder}/\` is` }));
};

// A constant or field called format or magic, and the name it is given.
const FORMAT = /\b\w*(?:format|magic)\w*[^"'`\n]{0,30}["'`]((?:lifeboat-|LB)[\w-]+)/gi;

/** A format named in the code (`format: "lifeboat-backup"`) has a page in docs/formats that names it. */
export const formatsRule: Rule = (tree) => {
  const pages = filesMatching(tree, /^docs\/formats\/.*\.md$/).map(([, text]) => text);
  return filesMatching(tree, /^(src|catalog)\/(?!.*\.test\.ts$).*\.ts$/).flatMap(([file, text]) =>
    [...matches(text, FORMAT)]
      .filter(({ found }) => !pages.some((page) => page.includes(`\`${found}\``)))
      .map(({ found, line }) => ({ file, line, message: `the format ${found} has no page in docs/formats` })),
  );
};
