/** Names of files and folders: an idea each, in kebab-case. */
import type { Rule, Violation } from "./tree.ts";

const SAYS_NOTHING = new Set(["utils", "util", "helpers", "helper", "common", "lib", "misc", "types", "constants"]);
const OURS = /^(src|catalog|test|tools|bench)\//;
const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*$/;

/** No name that says nothing (`utils`, `common`), and kebab-case throughout our sources. */
export const namesRule: Rule = (tree) => {
  const violations: Violation[] = [];
  for (const file of tree.keys()) {
    if (!OURS.test(file)) continue;
    for (const part of file.split("/")) {
      const [stem = ""] = part.split(".");
      if (SAYS_NOTHING.has(stem)) violations.push({ file, message: `"${stem}" says nothing: name the idea` });
      if (!KEBAB.test(stem)) violations.push({ file, message: `"${part}" is not kebab-case` });
    }
  }
  return violations;
};
