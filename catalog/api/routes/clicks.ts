/** Hearing from callers what was clicked on. */
import { z } from "zod";
import { note } from "../route.ts";

/** Routes of this file. */
export const CLICK_ROUTES = [
  note({
    path: "/v1/products/:id/clicks",
    operation: "clicked",
    summary: "Tells that an offer was clicked on. It is remembered with the next batch, and may be lost.",
    scope: "read",
    params: z.object({ id: z.coerce.number().int().min(1) }),
    answer: z.object({}),
    note: ({ params }, { caller, tools }) => tools.usage.clicked(caller.id, params.id),
  }),
];
