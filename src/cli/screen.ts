/**
 * Shows something that changes, on stdout: redrawn in place on a terminal, one line after another elsewhere.
 *
 * Invariant: on a terminal each drawing takes the place of the one before, also where its lines wrap; the last one stays.
 */
import type { Sink } from "./output.ts";
import { visibleWidth } from "./style.ts";

/** Where a verb that goes on shows what it sees. */
export type Screen = {
  /** True on a terminal: `draw` redraws. */
  readonly redraws: boolean;
  /** Shows a text in place of the one drawn before. */
  readonly draw: (text: string) => void;
};

/** A screen on a sink. */
export function createScreen(sink: Sink): Screen {
  let drawnRows = 0;
  return {
    redraws: sink.isTerminal,
    draw: (text) => {
      const lines = text.split("\n");
      // Up to where the last drawing began, and everything from there on away.
      const back = sink.isTerminal && drawnRows > 0 ? `\u001b[${drawnRows}A\r\u001b[J` : "";
      sink.write(`${back}${text}\n`);
      const columns = Math.max(1, sink.columns);
      drawnRows = lines.reduce((rows, line) => rows + Math.max(1, Math.ceil(visibleWidth(line) / columns)), 0);
    },
  };
}
