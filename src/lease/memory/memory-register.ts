/** A register in memory, for tests. */
import { judgeWrite, type Register, type RegisterContent } from "../register.ts";

/** An empty one. */
export function memoryRegister(): Register {
  let content: RegisterContent | undefined;
  return {
    read: async () => content,
    write: async (write) => {
      const answer = judgeWrite(content, write);
      if (answer.kind !== "written") return answer;
      // As what went through JSON: nobody keeps a hand on it.
      content = { version: answer.version, epoch: write.epoch, value: JSON.parse(JSON.stringify(write.value)) };
      return answer;
    },
  };
}
