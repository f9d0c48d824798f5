/** Tools of fixed names that the conformance suite of the Model Context Protocol calls, since no real service has one that it could. */
import { inputRequired, type McpServer } from "@modelcontextprotocol/server";

/** Adds them. */
export function addConformanceTools(server: McpServer): void {
  server.registerTool("test_missing_capability", { description: "Has its caller's model say something." }, async () => {
    const messages = [{ role: "user" as const, content: { type: "text" as const, text: "Say something." } }];
    return inputRequired({
      inputRequests: { said: inputRequired.createMessage({ messages, maxTokens: 10 }) },
    });
  });
  server.registerTool(
    "test_logging_tool",
    { description: "Has something to say, to who asked for it." },
    async (context) => {
      await context.mcpReq.log("info", "something");
      return { content: [{ type: "text", text: "done" }] };
    },
  );
  server.registerTool("test_streaming_elicitation", { description: "Asks its caller something." }, async () =>
    inputRequired({
      inputRequests: {
        name: inputRequired.elicit({
          message: "A name?",
          requestedSchema: { type: "object", properties: { name: { type: "string" } } },
        }),
      },
    }),
  );
}
