import { systemClock } from "../../platform/clock.ts";
import { testStoreConformance } from "../conformance/conformance.ts";
import { openMemoryStore } from "./memory-store.ts";

testStoreConformance("memory store", async () => ({
  store: openMemoryStore({ clock: systemClock }),
  close: async () => {},
}));
