/** `lifeboat config render`: the configuration of every program of the stack. */
import type { Config } from "../config/schema.ts";
import { choice } from "../config/value-kind.ts";
import { COMPONENT_NAMES, type ComponentName } from "../stack/component-names.ts";
import type { RenderedFile } from "../stack/render.ts";
import { printable, type Style } from "./style.ts";
import { defineVerb, optional, type Session, type Verb } from "./verb.ts";

/** Renders the configured stack's files, with stars for secrets; all of them, or those of one component. */
export type RenderConfigured = (call: {
  readonly config: Config;
  readonly session: Session;
  readonly component: ComponentName | undefined;
}) => Promise<readonly RenderedFile[]>;

/** The verb. */
export function configRenderVerb(render: RenderConfigured): Verb {
  return defineVerb({
    path: ["config", "render"],
    summary: "Show the configuration of each program of the stack",
    description:
      "Prints every file that `lifeboat up` writes for the stack's programs, made from the section stack. Secrets are stars. " +
      "Nothing is read from a running stack but the ports that were recorded, and nothing is written.",
    arguments: {
      component: optional(choice(COMPONENT_NAMES), `One of ${COMPONENT_NAMES.join(", ")}; without it all.`),
    },
    options: {},
    configuration: { kind: "checked", sections: ["stack", "folders"] },
    examples: [
      { line: "lifeboat config render", does: "All files." },
      { line: "lifeboat config render pgbouncer", does: "Those of the pooler." },
      { line: "lifeboat config render haproxy --stack-front-port 80", does: "What another port would change." },
    ],
    run: async ({ session, arguments: { component } }) => {
      const files = await render({ config: await session.config(), session, component });
      const json = { files: files.map(({ component: of, file, text }) => ({ component: of, file, text })) };
      return { json, text: renderFiles(files, session.style) };
    },
  });
}

function renderFiles(files: readonly RenderedFile[], style: Style): string {
  return files
    .map(({ component, file, text }) => `${style.strong(printable(`${component}: ${file}`))}\n${linesOf(text)}`)
    .join("\n\n");
}

function linesOf(text: string): string {
  return text.trimEnd().split("\n").map(printable).join("\n");
}
