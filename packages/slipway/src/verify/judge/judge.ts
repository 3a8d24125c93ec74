/** Checks that a file system alone decides, by kind. */
import type { Check, Judgement } from "../check.ts";
import type { ContainerFiles } from "../engines/engine.ts";
import { judgeGroup, judgeUser } from "./accounts.ts";
import { judgeCertificate } from "./certificate.ts";
import { judgeFile } from "./files.ts";
import { judgeFiles } from "./glob.ts";
import { judgePackage } from "./packages.ts";

export type StillCheck = Extract<
  Check,
  { kind: "file" | "files" | "user" | "group" | "package" | "certificate" }
>;

/** `now`: milliseconds since the epoch, for certificates. */
export function judgeStill(check: StillCheck, files: ContainerFiles, now: number): Promise<Judgement> {
  switch (check.kind) {
    case "file":
      return judgeFile(check, files);
    case "files":
      return judgeFiles(check, files);
    case "user":
      return judgeUser(check, files);
    case "group":
      return judgeGroup(check, files);
    case "package":
      return judgePackage(check, files);
    case "certificate":
      return judgeCertificate(check, files, now);
  }
}
