/** How the daemon answers what it is asked. */
import type { Control } from "../daemon/control.ts";
import { plainOf } from "../daemon/plain-json.ts";
import type { Answerer } from "../daemon/socket-server.ts";

/** The answers of a stack's control. */
export function answererOf(control: Control): Answerer {
  return async (request, { signal, tell }) => {
    const asked = { gone: signal };
    switch (request.call) {
      case "hello":
        return { pid: process.pid };
      case "check":
        return plainOf(
          await control.check({ signal, follow: request.follow ? (report) => tell(plainOf(report)) : undefined }),
        );
      // What changes something goes on when who asked for it is gone, once it has begun.
      case "promote":
        return plainOf(await control.promote({ acceptLoss: request.acceptLoss }, asked));
      case "adopt":
        return plainOf(await control.adopt({ node: request.node }, asked));
      case "switchover":
        return plainOf(
          await control.switchover({ to: request.to, dryRun: request.dryRun, accept: request.accept }, asked),
        );
      case "rebuild":
        return plainOf(await control.rebuild({ node: request.node }, asked));
      case "pause":
        return plainOf(await control.setMaintenance({ paused: true, reason: request.reason }, asked));
      case "resume":
        return plainOf(await control.setMaintenance({ paused: false, reason: "" }, asked));
      case "durability": {
        const { to, force } = request;
        if (to === undefined) return plainOf(await control.recordedDurability({ signal }));
        return plainOf(await control.setDurability({ to, force }, asked));
      }
    }
  };
}
