/**
 * Shell completion scripts, made from the words of the command tree.
 *
 * Invariants: a script is complete in itself: pressing Tab starts no program; it defines names beginning with `_lifeboat`
 * and no others; words come from our own declarations, so that nothing in them needs more than single quotes.
 */
import { shellQuoted } from "../platform/shell-word.ts";

/** The shells there are scripts for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** How a value is completed; neither choices nor a kind of path: not at all. */
export type CompletionValue = {
  readonly choices: readonly string[] | undefined;
  readonly completes: "file" | "folder" | undefined;
};

/** One command; `path` has one or two words. */
export type CompletionCommand = {
  readonly path: readonly string[];
  readonly summary: string;
  readonly arguments: readonly CompletionValue[];
  readonly options: readonly {
    readonly flag: string;
    readonly describe: string;
    /** Undefined for an option that takes no value. */
    readonly value: CompletionValue | undefined;
  }[];
};

/** All commands. */
export type CompletionTree = { readonly commands: readonly CompletionCommand[] };

type CompletionOption = CompletionCommand["options"][number];

const GLOBAL_OPTIONS: readonly CompletionOption[] = [
  { flag: "--config", describe: "Configuration file.", value: { choices: undefined, completes: "file" } },
  { flag: "--json", describe: "Print JSON.", value: undefined },
  { flag: "--verbose", describe: "Say more.", value: undefined },
  { flag: "--quiet", describe: "Show no progress.", value: undefined },
  { flag: "--no-color", describe: "Use no colours.", value: undefined },
  { flag: "--help", describe: "Show help.", value: undefined },
];

/** The script for a shell. */
export function renderCompletion(shell: (typeof SHELLS)[number], tree: CompletionTree): string {
  if (shell === "bash") return renderBash(tree);
  return shell === "zsh" ? renderZsh(tree) : renderFish(tree);
}

function renderBash(tree: CompletionTree): string {
  return `# bash completion for lifeboat
_lifeboat() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="" command="" position=0 index word
  COMPREPLY=()
  ${wordLoop(tree)}
  case "$command $previous" in
${tree.commands.flatMap((command) => bashOptionValues(command)).join("\n")}
    *' --config') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
  esac
  if [[ $current == -* ]]; then
    local options=${shellQuoted(flagsOf(GLOBAL_OPTIONS))}
    case "$command" in
${tree.commands.map((command) => `      ${shellQuoted(command.path.join(" "))}) options+=${shellQuoted(` ${flagsOf(command.options)}`)} ;;`).join("\n")}
    esac
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
    return
  fi
  case "$command $position" in
${bashWords(tree).join("\n")}
  esac
}
complete -F _lifeboat lifeboat
`;
}

// Finds the command among the words before the cursor: options, and values that options take, are passed over.
function wordLoop(tree: CompletionTree): string {
  const options = [...GLOBAL_OPTIONS, ...tree.commands.flatMap((command) => command.options)];
  const withValue = [...new Set(options.filter((option) => option.value !== undefined).map((option) => option.flag))];
  const groups = groupNames(tree);
  return `for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    previous="$word"
    case "$word" in
      ${withValue.join("|")})
        # The value is the next word, unless the cursor stands on it; bash splits --option=value into three words.
        [[ \${COMP_WORDS[index+1]} == '=' ]] && ((index++))
        if ((index + 1 < COMP_CWORD)); then ((index++)); previous=""; fi
        continue ;;
      -*) continue ;;
    esac
    if [[ -z $command ]]; then command="$word"
    elif [[ $position -eq 0 ]]; then
      case "$command" in
        ${groups.length === 0 ? "''" : groups.join("|")}) command="$command $word" ;;
        *) position=1 ;;
      esac
    else ((position++)); fi
  done
  [[ $current == '=' ]] && current=""`;
}

function bashOptionValues(command: CompletionCommand): readonly string[] {
  return command.options
    .filter((option) => option.value !== undefined)
    .map(
      (option) =>
        `    ${shellQuoted(`${command.path.join(" ")} ${option.flag}`)}) ${bashReply(option.value)} return ;;`,
    );
}

function bashWords(tree: CompletionTree): readonly string[] {
  const top = [...new Set(tree.commands.map((command) => command.path[0] ?? ""))];
  const rows = [`    ' 0') mapfile -t COMPREPLY < <(compgen -W ${shellQuoted(top.join(" "))} -- "$current") ;;`];
  for (const group of groupNames(tree)) {
    const words = wordsAt(tree, group).map(({ word }) => word);
    rows.push(
      `    ${shellQuoted(`${group} 0`)}) mapfile -t COMPREPLY < <(compgen -W ${shellQuoted(words.join(" "))} -- "$current") ;;`,
    );
  }
  for (const command of tree.commands) {
    for (const [index, value] of command.arguments.entries()) {
      if (value.choices === undefined && value.completes === undefined) continue;
      rows.push(`    ${shellQuoted(`${command.path.join(" ")} ${index}`)}) ${bashReply(value)} ;;`);
    }
  }
  return rows;
}

function bashReply(value: CompletionValue | undefined): string {
  if (value?.choices !== undefined) {
    return `mapfile -t COMPREPLY < <(compgen -W ${shellQuoted(value.choices.join(" "))} -- "$current");`;
  }
  if (value?.completes === undefined) return "";
  const what = value.completes === "file" ? "-f" : "-d";
  return `compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen ${what} -- "$current");`;
}

function renderZsh(tree: CompletionTree): string {
  const groups = groupNames(tree);
  // A word that is a command and a group has one function, the chooser.
  const alone = tree.commands.filter(({ path }) => path.length > 1 || !groups.includes(path[0] ?? ""));
  const functions = alone.map(
    (command) => `_lifeboat_${command.path.join("_")}() {
  _arguments -s : \\
${[...GLOBAL_OPTIONS, ...command.options].map((option) => `    ${shellQuoted(zshOption(option))}`).join(" \\\n")}${zshArguments(command)}
}`,
  );
  return `#compdef lifeboat
${functions.join("\n")}
${groups.map((group) => zshChooser(`_lifeboat_${group}`, tree, group)).join("\n")}
${zshChooser("_lifeboat", tree, undefined)}
if [[ \${funcstack[1]} == _lifeboat ]]; then _lifeboat "$@"; else compdef _lifeboat lifeboat; fi
`;
}

// A function that offers the words at one level, or hands over to the function of the word that was chosen.
function zshChooser(name: string, tree: CompletionTree, group: string | undefined): string {
  const words = wordsAt(tree, group).map(({ word, summary }) => `    ${shellQuoted(zshEscape(`${word}:${summary}`))}`);
  const offered = wordsAt(tree, group).map(({ word }) => word);
  const own = tree.commands.find(({ path }) => path.length === 1 && path[0] === group)?.options ?? [];
  return `${name}() {
  local context state state_descr line curcontext="$curcontext"
  typeset -A opt_args
  local -a commands
  commands=(
${words.join("\n")}
  )
  _arguments -C \\
${[...GLOBAL_OPTIONS, ...own].map((option) => `    ${shellQuoted(zshOption(option))}`).join(" \\\n")} \\
    '1: :->command' '*:: :->rest'
  case $state in
    command) _describe command commands ;;
    rest)
      case $line[1] in
        ${offered.join("|")}) _lifeboat_${group === undefined ? "" : `${group}_`}$line[1] ;;
      esac ;;
  esac
}`;
}

function zshOption(option: CompletionOption): string {
  const describe = `[${option.describe.replaceAll(/[[\]]/g, "\\$&").replaceAll(":", "\\:")}]`;
  return option.value === undefined
    ? `${option.flag}${describe}`
    : `${option.flag}=${describe}:value:${zshAction(option.value)}`;
}

function zshArguments(command: CompletionCommand): string {
  return command.arguments
    .map((value, index) => ` \\\n    ${shellQuoted(`${index + 1}:argument:${zshAction(value)}`)}`)
    .join("");
}

function zshAction(value: CompletionValue): string {
  if (value.choices !== undefined) return `(${value.choices.join(" ")})`;
  if (value.completes === undefined) return " ";
  return value.completes === "file" ? "_files" : "_files -/";
}

function zshEscape(text: string): string {
  const [word = "", ...rest] = text.split(":");
  return `${word}:${rest.join("\\:")}`;
}

function renderFish(tree: CompletionTree): string {
  const lines = ["# fish completion for lifeboat", "complete -c lifeboat -f"];
  for (const option of GLOBAL_OPTIONS) lines.push(`complete -c lifeboat ${fishOption(option)}`);
  for (const { word, summary } of wordsAt(tree, undefined)) {
    lines.push(`complete -c lifeboat -n __fish_use_subcommand -a ${shellQuoted(word)} -d ${fishText(summary)}`);
  }
  for (const group of groupNames(tree)) {
    const words = wordsAt(tree, group);
    const all = words.map(({ word }) => word).join(" ");
    const when = shellQuoted(`__fish_seen_subcommand_from ${group}; and not __fish_seen_subcommand_from ${all}`);
    for (const { word, summary } of words) {
      lines.push(`complete -c lifeboat -n ${when} -a ${shellQuoted(word)} -d ${fishText(summary)}`);
    }
  }
  for (const command of tree.commands) {
    const when = shellQuoted(command.path.map((word) => `__fish_seen_subcommand_from ${word}`).join("; and "));
    for (const option of command.options) lines.push(`complete -c lifeboat -n ${when} ${fishOption(option)}`);
    for (const value of command.arguments) {
      if (value.choices !== undefined)
        lines.push(`complete -c lifeboat -n ${when} -a ${shellQuoted(value.choices.join(" "))}`);
      else if (value.completes !== undefined) lines.push(`complete -c lifeboat -n ${when} -F`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function fishOption(option: CompletionOption): string {
  const base = `-l ${option.flag.slice(2)} -d ${fishText(option.describe)}`;
  if (option.value === undefined) return base;
  if (option.value.choices !== undefined) return `${base} -x -a ${shellQuoted(option.value.choices.join(" "))}`;
  return option.value.completes === undefined ? `${base} -x` : `${base} -r -F`;
}

function wordsAt(tree: CompletionTree, group: string | undefined): readonly { word: string; summary: string }[] {
  const words = new Map<string, string>();
  for (const { path, summary } of tree.commands) {
    const [first = "", second] = path;
    if (group === undefined)
      words.set(first, second === undefined ? summary : (words.get(first) ?? `${first} commands`));
    else if (first === group && second !== undefined) words.set(second, summary);
  }
  return [...words].map(([word, summary]) => ({ word, summary }));
}

function groupNames(tree: CompletionTree): readonly string[] {
  return [
    ...new Set(tree.commands.filter((command) => command.path.length > 1).map((command) => command.path[0] ?? "")),
  ];
}

function flagsOf(options: readonly CompletionOption[]): string {
  return options.map((option) => option.flag).join(" ");
}

function fishText(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
