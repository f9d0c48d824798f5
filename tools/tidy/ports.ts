/**
 * Clock, random, files, processes and the environment are ports: only `platform` and a program's `main.ts` touch the
 * machine's own. Signals and exit belong to `main.ts`. Only the durable write renames files.
 */
import { child, children, memberOf, nameOf, parse, type SyntaxNode, stringOf, walk } from "./syntax.ts";
import { filesMatching, lineAt, type Rule, type Violation } from "./tree.ts";

const SOURCES = /^(src\/(?!platform\/)|catalog\/).*\.ts$/;
const PROGRAMS = /^(src|catalog)\/.*\/main\.ts$/;
// A conformance suite is a test that several test files share.
const TESTS = /(\.test\.ts$|\/conformance\/)/;
// run-as.ts names a finished copy of the server programs, a cache that a power cut may take.
const RENAMERS = /^src\/(platform\/(durable|files|faulty-files|memory-files|run-as)|standalone\/main)\.ts$/;

const BANNED_MODULES = new Set(
  ["fs", "fs/promises", "child_process", "timers", "timers/promises"].flatMap((name) => [name, `node:${name}`]),
);
const BANNED_RANDOM = new Set([
  "randomBytes",
  "randomUUID",
  "randomUUIDv7",
  "randomInt",
  "randomFill",
  "randomFillSync",
]);
const BANNED_MEMBERS = new Set(["Date.now", "Math.random", "performance.now", "process.env", "process.hrtime"]);
const BANNED_CALLS = new Set(["setTimeout", "setInterval", "setImmediate"]);
const MAIN_ONLY = new Set(["process.exit", "process.exitCode", "process.on", "process.once"]);

/** No use of the machine outside `platform` and `main.ts`. */
export const portsRule: Rule = (tree) =>
  filesMatching(tree, SOURCES)
    .filter(([file]) => !TESTS.test(file) && !PROGRAMS.test(file))
    .flatMap(([file, text]) => {
      const violations: Violation[] = [];
      walk(parse(file, text).program, (node) => {
        const used = machineUse(node);
        if (used === undefined) return;
        const message = `${used} is the machine's own: take the port of src/platform as an argument`;
        violations.push({ file, line: lineAt(text, node.start), message });
      });
      return violations;
    });

function machineUse(node: SyntaxNode): string | undefined {
  if (node.type === "ImportDeclaration") return bannedImport(node);
  const member = memberOf(node);
  if (member !== undefined && (BANNED_MEMBERS.has(member) || MAIN_ONLY.has(member))) return member;
  if (node.type === "CallExpression") {
    const name = nameOf(child(node, "callee"));
    return name !== undefined && BANNED_CALLS.has(name) ? name : undefined;
  }
  const makesDate = node.type === "NewExpression" && nameOf(child(node, "callee")) === "Date";
  return makesDate && children(node, "arguments").length === 0 ? "new Date()" : undefined;
}

function bannedImport(node: SyntaxNode): string | undefined {
  const module = stringOf(child(node, "source"));
  if (module === undefined || node["importKind"] === "type") return undefined;
  if (BANNED_MODULES.has(module)) return module;
  if (module !== "node:crypto") return undefined;
  return children(node, "specifiers")
    .map((specifier) => nameOf(child(specifier, "imported")))
    .find((name) => name !== undefined && BANNED_RANDOM.has(name));
}

/** Only the durable write and the port below it rename, and the one file that imports nothing: a rename without its syncs loses files in a power cut. */
export const renameRule: Rule = (tree) =>
  filesMatching(tree, /^(src|catalog)\/.*\.ts$/)
    .filter(([file]) => !TESTS.test(file) && !RENAMERS.test(file))
    .flatMap(([file, text]) => {
      const violations: Violation[] = [];
      walk(parse(file, text).program, (node) => {
        if (node.type !== "CallExpression") return;
        const callee = child(node, "callee");
        const name = callee === undefined ? undefined : nameOf(child(callee, "property"));
        if (name !== "rename" && name !== "renameSync") return;
        violations.push({ file, line: lineAt(text, node.start), message: "only writeDurable renames: use it" });
      });
      return violations;
    });

/** A session by node-postgres on a bare socket ends the process, or stands still, at what it cannot read. */
export const driverRule: Rule = (tree) =>
  filesMatching(tree, /^(src|catalog)\/.*\.ts$/)
    .filter(([file, text]) => !TESTS.test(file) && /new pg\.(Client|Pool)\(/.test(text))
    .filter(([, text]) => !/\bstream: \(\) =>.*\bguarded(Socket)?\(/.test(text))
    .map(([file]) => ({ file, message: "gives node-postgres no guarded socket: src/platform/guarded-socket.ts" }));

/** `decide.ts` and `plan.ts` take facts and return data: nothing in them waits. */
export const purityRule: Rule = (tree) =>
  filesMatching(tree, /^(src|catalog)\/.*\/(decide|plan)\.ts$/).flatMap(([file, text]) => {
    const violations: Violation[] = [];
    walk(parse(file, text).program, (node) => {
      if (node.type !== "AwaitExpression" && node["async"] !== true) return;
      const message = "a decision or plan is made of facts it is given: observe before, act after";
      violations.push({ file, line: lineAt(text, node.start), message });
    });
    return violations;
  });
