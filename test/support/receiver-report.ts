/** What a receiver reports that streams and has confirmed all there is. */
import { REPORT_HEAD, type ReceiverReport } from "../../src/wal/report.ts";

export const STREAMING_REPORT: ReceiverReport = {
  ...REPORT_HEAD,
  pid: 1,
  mode: "streaming",
  startedAt: "2026-11-22T11:00:00.000Z",
  updatedAt: "2026-11-22T12:00:00.000Z",
  systemId: "7000000000000000001",
  timeline: 1,
  slot: "lifeboat_vault",
  epoch: 0,
  applicationName: "lifeboat_vault",
  writtenLsn: "0/3000060",
  flushedLsn: "0/3000060",
  serverEndLsn: "0/3000060",
  lagBytes: 0,
  segmentsWaiting: 0,
  spoolBytes: 96,
  spoolBytesMax: 1024,
  lastError: null,
  alarms: [],
  gaps: [],
};
