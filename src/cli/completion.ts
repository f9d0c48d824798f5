/** `lifeboat completion`: prints a script that completes commands, options and their values in a shell. */
import { SETTING_ROWS } from "../config/schema.ts";
import { flagOf } from "../config/setting.ts";
import { choice } from "../config/value-kind.ts";
import { type CompletionTree, renderCompletion, SHELLS } from "./completion-script.ts";
import { settingFlags } from "./program.ts";
import { defineVerb, required, type Verb } from "./verb.ts";

/** The verb; `verbs` gives the whole tree, itself included. */
export function completionVerb(verbs: () => readonly Verb[]): Verb {
  return defineVerb({
    path: ["completion"],
    summary: "Print a shell completion script",
    description: "Prints a script for bash, zsh or fish that completes commands, options and their values.",
    arguments: { shell: required(choice(SHELLS), "The shell: bash, zsh or fish.") },
    options: {},
    configuration: { kind: "none" },
    examples: [
      { line: "source <(lifeboat completion bash)", does: "Complete in this bash." },
      { line: "lifeboat completion bash > /etc/bash_completion.d/lifeboat", does: "For every bash." },
      { line: "lifeboat completion zsh > ~/.zfunc/_lifeboat", does: "For zsh, with ~/.zfunc in its fpath." },
      { line: "lifeboat completion fish > ~/.config/fish/completions/lifeboat.fish", does: "For fish." },
    ],
    run: async (call) => {
      const script = renderCompletion(call.arguments.shell, completionTree(verbs()));
      return { json: { shell: call.arguments.shell, script }, text: script.trimEnd() };
    },
  });
}

/** The words of the command tree. */
export function completionTree(verbs: readonly Verb[]): CompletionTree {
  const known = new Map(SETTING_ROWS.map((row) => [row.path, row.setting.kind]));
  return {
    commands: verbs.map((verb) => ({
      path: verb.path,
      summary: verb.summary,
      arguments: Object.values(verb.arguments).map(({ kind }) => ({
        choices: kind.choices,
        completes: kind.completes,
      })),
      options: [
        ...Object.entries(verb.options).map(([name, spec]) => ({
          flag: flagOf(name),
          describe: spec.describe,
          value: spec.takes === "nothing" ? undefined : { choices: spec.kind.choices, completes: spec.kind.completes },
        })),
        ...settingFlags(verb).map((row) => ({
          flag: flagOf(row.path),
          describe: row.setting.describe,
          value: { choices: known.get(row.path)?.choices, completes: known.get(row.path)?.completes },
        })),
      ],
    })),
  };
}
