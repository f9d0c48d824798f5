/** A thread that opens chunks. */
import { answerQuestions } from "../../platform/thread.ts";
import { type Batch, type Opened, Opener } from "./opener.ts";

/** The memory of each slot: shared with whoever started the thread. */
type Given = readonly { readonly input: SharedArrayBuffer; readonly output: SharedArrayBuffer }[];

answerQuestions<Given, Batch, Opened>((given) => {
  const opener = new Opener(
    given.map(({ input, output }) => ({ input: Buffer.from(input), output: Buffer.from(output) })),
  );
  return (batch) => opener.open(batch);
});
