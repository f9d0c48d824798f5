/** `lifeboat config explain`: every setting, its value, and where that came from. */
import { type Explanation, explainSettings } from "../config/explain.ts";
import { formatProblem } from "../config/problem.ts";
import { SECTION_NAMES } from "../config/schema.ts";
import { EXIT } from "../errors/entry.ts";
import { printable, type Style } from "./style.ts";
import { type Cell, renderTable } from "./table.ts";
import { defineVerb, type Verb } from "./verb.ts";

/** The verb. */
export function configExplainVerb(): Verb {
  return defineVerb({
    path: ["config", "explain"],
    summary: "Show every setting and where its value comes from",
    description:
      "Prints every setting with its value and its source (default, file, environment, flag), and all mistakes. " +
      "Secrets are stars. Ends with status 2 when there are mistakes.",
    arguments: {},
    options: {},
    configuration: { kind: "unchecked", sections: SECTION_NAMES },
    examples: [
      { line: "lifeboat config explain", does: "What is in force here." },
      { line: "lifeboat config explain --config new.yaml", does: "Check a file before it is used." },
      { line: "lifeboat config explain --json", does: "The same for programs." },
    ],
    run: async ({ session }) => {
      const loaded = await session.settings();
      const explanation = explainSettings(loaded, loaded.searched);
      const exit = explanation.problems.length === 0 ? 0 : EXIT.usage;
      return { json: explanation, text: renderExplanation(explanation, session.style), exit };
    },
  });
}

/** The explanation for people. */
export function renderExplanation(explanation: Explanation, style: Style): string {
  const { file, searched, settings, problems } = explanation;
  const rows = settings.map((setting): readonly Cell[] => {
    const value: Cell =
      setting.value === undefined ? { painted: style.faint(`(${printable(setting.note ?? "")})`) } : setting.value;
    const source = setting.where ?? setting.source;
    return [setting.path, value, setting.source === "default" ? { painted: style.faint(source) } : source];
  });
  const columns = ["setting", "value", "from"].map((title) => ({ title, align: "left" as const }));
  const parts = [
    file === undefined ? `No configuration file in ${searched.join(" or ")}.` : `Configuration file: ${file}`,
    renderTable(columns, rows, style),
  ];
  if (problems.length > 0) {
    const lines = problems.map((problem) => `  ${printable(formatProblem(problem))}`);
    parts.push(
      [style.bad(`${problems.length === 1 ? "1 problem" : `${problems.length} problems`}:`), ...lines].join("\n"),
    );
  }
  return parts.join("\n\n");
}
