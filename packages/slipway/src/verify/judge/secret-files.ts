/** Secrets in the files of every layer: a file that a later layer deletes is still in what is pushed. */
import { fail, type Judgement, pass } from "../check.ts";
import type { ImageView } from "../observe/image-view.ts";
import { secretInFile } from "../secrets.ts";

const MAX_SIZE = 256 * 1024;
/** What a distribution or npm brings: public test keys and documentation stand there by the hundred. */
const BROUGHT_ALONG =
  /^\/(?:usr\/(?:lib|lib64|libexec|share|include|src|bin|sbin)|lib|lib64|bin|sbin|var\/lib\/(?:dpkg|rpm|apt)|lib\/apk)\/|\/node_modules\//;

export async function judgeSecretsInFiles(view: ImageView): Promise<Judgement> {
  const found: string[] = [];
  let looked = 0;
  const isWanted = (path: string, size: number): boolean => size <= MAX_SIZE && !BROUGHT_ALONG.test(path);
  for await (const { path, layer, isHidden, content } of view.everyFile(isWanted)) {
    looked += 1;
    const kind = secretInFile(path, Buffer.from(content).toString("latin1"));
    if (kind !== undefined) {
      found.push(
        `${path}: ${kind}${isHidden ? ` (in layer ${layer + 1}; a later layer only hides it)` : ""}`,
      );
    }
  }
  return found.length === 0 ? pass(`${looked} files looked into`) : fail(found.slice(0, 10).join("; "));
}
