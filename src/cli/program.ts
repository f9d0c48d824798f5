/**
 * Makes the command tree of the declared verbs.
 *
 * Invariant: nothing is decided here about values: the tree hands over the texts that were typed, by name.
 */
import { Argument, Command, Option } from "commander";
import { fallbackText } from "../config/explain.ts";
import { SETTING_ROWS, SETTINGS, type SettingRow } from "../config/schema.ts";
import { environmentOf, flagOf } from "../config/setting.ts";
import type { AnyValueKind } from "../config/value-kind.ts";
import type { ArgumentSpec, Example, OptionSpec, Verb } from "./verb.ts";

/** What was typed for a verb, by name; a toggle is true. Settings are keyed by their path. */
export type Typed = {
  readonly arguments: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  readonly settings: Readonly<Record<string, string>>;
  readonly global: GlobalOptions;
};

/** Options that every command takes. */
export type GlobalOptions = {
  readonly config: string | undefined;
  readonly json: boolean;
  readonly verbose: boolean;
  readonly quiet: boolean;
  readonly color: boolean;
};

/** What the tree needs of the frame. */
export type ProgramTools = {
  readonly version: string;
  readonly call: (verb: Verb, typed: Typed) => Promise<void>;
  readonly writeOut: (text: string) => void;
  readonly writeErr: (text: string) => void;
  readonly columns: number;
};

/** What groups of verbs are for, shown in help. */
const GROUPS: Readonly<Record<string, string>> = {
  vault: "Make and check vaults, and manage their keys",
  wal: "Receive and fetch write-ahead log",
  config: "Show the configuration",
};

/** Help is easier to read below this width, whatever the terminal's. */
const HELP_COLUMNS_MAX = 110;

/** Builds the tree. Parsing rejects with commander's own error for a command line that cannot be understood. */
export function createProgram(verbs: readonly Verb[], tools: ProgramTools): Command {
  const program = new Command("lifeboat")
    .description("Disaster recovery for PostgreSQL: continuous backup, proven restores, measured recovery.")
    .version(tools.version, "-V, --version", "Print the version.")
    .helpOption("-h, --help", "Show help for a command.")
    .helpCommand("help [command]", "Show help for a command.");
  configure(program, tools);
  addGlobalOptions(program);
  for (const verb of verbs) addVerb(groupOf(program, verb, tools), verb, tools);
  return program;
}

/** The name of the value in `<>`, the default and the accepted words, as help shows them. */
export function describeOption(spec: OptionSpec): string {
  if (spec.takes === "nothing") return spec.describe;
  // The fallback was declared together with its kind.
  return spec.need === "default"
    ? `${spec.describe} Default: ${spec.kind.format(spec.fallback as never)}.`
    : spec.describe;
}

/** The settings a verb takes as flags: those of its sections, without secrets. */
export function settingFlags(verb: Verb): readonly SettingRow[] {
  const { configuration } = verb;
  if (configuration.kind === "none") return [];
  return SETTING_ROWS.filter((row) => configuration.sections.includes(row.section) && row.setting.secrecy === "plain");
}

function addGlobalOptions(program: Command): void {
  program
    .option("--config <FILE>", "Configuration file; default: lifeboat.yaml here, then in the system's folder.")
    .option("--json", "Print the result, progress and errors as JSON.")
    .option("-v, --verbose", "Say more: causes of errors.")
    .option("-q, --quiet", "Show no progress and no notices.")
    .option("--no-color", "Use no colours (also: NO_COLOR).");
}

function configure(command: Command, tools: ProgramTools): void {
  const columns = Math.min(tools.columns, HELP_COLUMNS_MAX);
  command
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: tools.writeOut,
      writeErr: tools.writeErr,
      // The message is in the error that is thrown; the frame tells it once, in its own way.
      outputError: () => {},
      getOutHelpWidth: () => columns,
      getErrHelpWidth: () => columns,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
}

function groupOf(program: Command, verb: Verb, tools: ProgramTools): Command {
  if (verb.path.length === 1) return program;
  const [name] = verb.path;
  const existing = program.commands.find((command) => command.name() === name);
  if (existing !== undefined) return existing;
  const group = program
    .command(name)
    .description(GROUPS[name] ?? "")
    .helpCommand(false);
  configure(group, tools);
  return group;
}

function addVerb(parent: Command, verb: Verb, tools: ProgramTools): void {
  const command = parent
    .command(verb.path.at(-1) ?? "")
    .summary(verb.summary)
    .description(verb.description)
    // A verb that is also a group leaves what follows the inner verb's name to that one.
    .enablePositionalOptions();
  configure(command, tools);
  for (const [name, spec] of Object.entries(verb.arguments)) command.addArgument(argumentOf(name, spec));
  for (const [name, spec] of Object.entries(verb.options)) command.addOption(optionOf(name, spec));
  for (const row of settingFlags(verb)) command.addOption(settingOption(row));
  command.addHelpText("after", exampleText(verb.examples, verb));
  command.action(() => tools.call(verb, typedOf(command, verb)));
}

function argumentOf(name: string, spec: ArgumentSpec): Argument {
  const shown = argumentName(name);
  if (spec.need === "rest") return new Argument(`<${shown}...>`, spec.describe);
  return new Argument(spec.need === "required" ? `<${shown}>` : `[${shown}]`, spec.describe);
}

function argumentName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter}`).toUpperCase();
}

/** The flag of an option with the name of its value: `--to-time <TIME>`. */
export function optionFlags(name: string, spec: OptionSpec): string {
  if (spec.takes === "value") return `${flagOf(name)} <${placeholderOf(spec.kind)}>`;
  return spec.letter === undefined ? flagOf(name) : `-${spec.letter}, ${flagOf(name)}`;
}

function optionOf(name: string, spec: OptionSpec): Option {
  const option = new Option(optionFlags(name, spec), describeOption(spec));
  return spec.takes === "value" && spec.need === "required" ? option.makeOptionMandatory() : option;
}

function settingOption(row: SettingRow): Option {
  const { kind, describe, fallback } = row.setting;
  const otherwise = fallback.kind === "absent" ? "Without it" : "Default";
  const option = new Option(
    `${flagOf(row.path)} <${placeholderOf(kind)}>`,
    `${describe} ${otherwise}: ${fallbackText(row)}.`,
  );
  return option.helpGroup(`${SETTINGS[row.section].describe.replace(/\.$/, "")} (${row.section} in lifeboat.yaml):`);
}

function placeholderOf(kind: AnyValueKind): string {
  return kind.placeholder;
}

function exampleText(examples: readonly Example[], verb: Verb): string {
  const width = Math.max(...examples.map((example) => example.line.length));
  const lines = examples.map((example) => `  ${example.line.padEnd(width)}  ${example.does}`);
  const first = settingFlags(verb)[0];
  const settings =
    first === undefined
      ? []
      : [
          "",
          `Values under a section can also stand in lifeboat.yaml or in a variable such as ${environmentOf(first.path)}.`,
        ];
  return ["", "Examples:", ...lines, ...settings].join("\n");
}

function typedOf(command: Command, verb: Verb): Typed {
  const options: Record<string, unknown> = command.opts();
  const globals: Record<string, unknown> = command.optsWithGlobals();
  const texts = (value: unknown) => (typeof value === "string" || typeof value === "boolean" ? value : undefined);
  const settings: Record<string, string> = {};
  for (const row of settingFlags(verb)) {
    // One that stands before the inner verb's name was taken by the outer one.
    const value = globals[attributeOf(row.path)];
    if (typeof value === "string") settings[row.path] = value;
  }
  return {
    arguments: Object.fromEntries(
      Object.entries(verb.arguments).map(([name, { need }], index) => [
        name,
        need === "rest" ? command.args.slice(index) : command.args[index],
      ]),
    ),
    options: Object.fromEntries(
      Object.keys(verb.options).map((name) => {
        const attribute = attributeOf(name);
        // An option that the outer verb has as well was taken by it, wherever it stood.
        return [name, texts(options[attribute] ?? globals[attribute])];
      }),
    ),
    settings,
    global: {
      config: typeof globals["config"] === "string" ? globals["config"] : undefined,
      json: globals["json"] === true,
      verbose: globals["verbose"] === true,
      quiet: globals["quiet"] === true,
      color: globals["color"] !== false,
    },
  };
}

// As commander names the value of a flag.
function attributeOf(path: string): string {
  return new Option(flagOf(path)).attributeName();
}
