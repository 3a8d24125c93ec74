/** What the system refuses a command (no permission, no space) is a fact about the machine, not a bug with a stack. */
import { SlipwayError, systemCode } from "@slipway/base";

const refusals: Record<string, { readonly message: string; readonly hint: string }> = {
  EACCES: {
    message: "permission denied",
    hint: "Give your user the right to it, or work in a copy that is yours.",
  },
  EPERM: {
    message: "not permitted",
    hint: "Give your user the right to it, or work in a copy that is yours.",
  },
  EROFS: { message: "is on a read-only file system", hint: "Work in a copy that can be written." },
  ENOSPC: {
    message: "no space left on the disk",
    hint: "Free some. `slipway local down --delete` removes what this project's local world has stored.",
  },
  EDQUOT: { message: "your quota on the disk is used up", hint: "Free some space." },
  EMFILE: { message: "too many open files", hint: "Raise the limit, for example with `ulimit -n 4096`." },
};

/** An error of the file system as one of ours; everything else as it is. */
export function explainRefusal(error: unknown): unknown {
  const refusal = refusals[systemCode(error) ?? ""];
  if (error instanceof SlipwayError || !(error instanceof Error) || refusal === undefined) return error;
  const { path, dest, syscall } = error as NodeJS.ErrnoException & { readonly dest?: string };
  return new SlipwayError({
    code: "SYSTEM_REFUSED",
    where: dest ?? path ?? syscall,
    message: refusal.message,
    hint: refusal.hint,
    cause: error,
    exitCode: 3,
  });
}
