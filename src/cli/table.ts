/** Aligned text tables. */
import { printable, type Style, visibleWidth } from "./style.ts";

/** A column; `right` for numbers. */
export type Column = { readonly title: string; readonly align: "left" | "right" };

/** A cell: plain text (made printable) or text painted by a style. */
export type Cell = string | { readonly painted: string };

/** Renders a table with a heading and two spaces between columns; no line has spaces at its end. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly Cell[])[], style: Style): string {
  const cells = rows.map((row) => columns.map((_, index) => cellText(row[index] ?? "")));
  const widths = columns.map((column, index) =>
    Math.max(visibleWidth(column.title), ...cells.map((row) => visibleWidth(row[index] ?? ""))),
  );
  const line = (texts: readonly string[]) =>
    texts
      .map((text, index) => pad(text, { width: widths[index] ?? 0, align: columns[index]?.align ?? "left" }))
      .join("  ")
      .trimEnd();
  const heading = style.strong(line(columns.map((column) => column.title)));
  return [heading, ...cells.map(line)].join("\n");
}

/** Renders names and values below each other: `name:   value`. */
export function renderFacts(facts: readonly (readonly [string, Cell])[]): string {
  const width = Math.max(0, ...facts.map(([name]) => visibleWidth(name)));
  return facts
    .map(([name, value]) => `${pad(`${name}:`, { width: width + 1, align: "left" })}  ${cellText(value)}`.trimEnd())
    .join("\n");
}

function cellText(cell: Cell): string {
  return typeof cell === "string" ? printable(cell).replaceAll("\n", " ") : cell.painted;
}

function pad(text: string, to: { readonly width: number; readonly align: Column["align"] }): string {
  const spaces = " ".repeat(Math.max(0, to.width - visibleWidth(text)));
  return to.align === "left" ? text + spaces : spaces + text;
}
