import { testRegisterConformance } from "../conformance/register-conformance.ts";
import { memoryRegister } from "./memory-register.ts";

testRegisterConformance("a register in memory", async () => {
  const register = memoryRegister();
  return { register, again: () => register, close: async () => undefined };
});
