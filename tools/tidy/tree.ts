/**
 * The tree as tidy sees it.
 *
 * Nouns: a *tree* is every text file of the clone, by path from the root; a *rule* is a pure function from a tree to
 * *violations*; what a violation says must tell a newcomer what to do.
 * Invariant: rules read nothing but the tree they are given, so that each can be shown red on a planted one.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

/** Text by path from the root, with forward slashes. */
export type Tree = ReadonlyMap<string, string>;

/** One breach of a rule. */
export type Violation = { readonly file: string; readonly line?: number; readonly message: string };

/** A rule of the house that a program can check. */
export type Rule = (tree: Tree) => readonly Violation[];

// No text of ours is longer; a binary fixture is none of tidy's business.
const TEXT_BYTES_MAX = 2_000_000;

/** Reads what git tracks, and what is new and not ignored. */
export function readTree(root: string): Tree {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root });
  const tree = new Map<string, string>();
  for (const file of listed.toString().split("\0").sort()) {
    const absolute = path.join(root, file);
    if (file === "" || !existsSync(absolute)) continue;
    const bytes = readFileSync(absolute);
    if (bytes.length <= TEXT_BYTES_MAX && !bytes.includes(0)) tree.set(file, bytes.toString());
  }
  return tree;
}

/** The files of a tree whose path matches. */
export function filesMatching(tree: Tree, pattern: RegExp): readonly (readonly [file: string, text: string])[] {
  return [...tree].filter(([file]) => pattern.test(file));
}

/** The line, counted from 1, on which an offset lies. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) line += 1;
  return line;
}

/** Every place in a text where a pattern matches. The pattern must be global. */
export function* matches(text: string, pattern: RegExp): Generator<{ readonly found: string; readonly line: number }> {
  for (const match of text.matchAll(pattern)) yield { found: match[1] ?? match[0], line: lineAt(text, match.index) };
}

/** How a violation is printed. */
export function formatViolation({ file, line, message }: Violation): string {
  return line === undefined ? `${file}: ${message}` : `${file}:${line}: ${message}`;
}
