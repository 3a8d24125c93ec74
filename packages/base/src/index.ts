export { AssertionError, assert, assertNever } from "./assert.ts";
export { type Clock, systemClock, until } from "./clock.ts";
export { formatAge, formatDuration, parseDuration, writeDuration } from "./duration.ts";
export { type ErrorFacts, renderError, SlipwayError, systemCode } from "./error.ts";
export { type ExecOptions, type ExecResult, exec, shellLine } from "./exec.ts";
export { readCache, readTextIfExists, writeAtomic, writeCache, writeCacheText } from "./files.ts";
export {
  bootId,
  isProcessAlive,
  type Processes,
  type ProcessIdentity,
  startTicksOf,
  systemProcesses,
  thisProcess,
} from "./process.ts";
export { type Random, seededRandom, systemRandom } from "./random.ts";
export { isSameSecret, newSecret } from "./secret.ts";
export { nearest, renderTable } from "./table.ts";
export { VirtualClock } from "./virtual/clock.ts";
