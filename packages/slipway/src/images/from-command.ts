/** `{ command }`: a program of the project that makes an image and leaves it as an archive. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec, SlipwayError } from "@slipway/base";
import { importArchive } from "./archive.ts";
import { commandFailed } from "./build-faults.ts";
import type { ImageLayout } from "./layout.ts";
import { type Descriptor, type Platform, showPlatform } from "./oci.ts";

export interface CommandBuild {
  readonly image: string;
  readonly command: readonly string[];
  /** Where it runs. */
  readonly root: string;
  readonly env: NodeJS.ProcessEnv;
  readonly platform: Platform;
  readonly layout: ImageLayout;
  readonly signal: AbortSignal | undefined;
  readonly onOutput: (text: string) => void;
}

export async function imageOfCommand(build: CommandBuild): Promise<Descriptor> {
  const { command, env, image, layout, onOutput, platform, root, signal } = build;
  const folder = await mkdtemp(join(tmpdir(), "slipway-build-"));
  const archive = join(folder, "image.tar");
  try {
    const result = await exec(command, {
      cwd: root,
      env: {
        ...env,
        SLIPWAY_ARCHIVE: archive,
        SLIPWAY_PLATFORM: showPlatform(platform),
        SLIPWAY_IMAGE: `${image}:slipway`,
      },
      ...(signal === undefined ? {} : { signal }),
      onOutput,
    });
    if (result.exitCode !== 0) {
      const last = `${result.stdout}${result.stderr}`.trimEnd().split("\n").slice(-10).join("\n  ");
      throw commandFailed(image, command, `exited ${result.exitCode}:\n  ${last}`);
    }
    return await importArchive(archive, layout, platform).catch((error: unknown) => {
      const isMissing = error instanceof SlipwayError && error.code === "IMAGE_ARCHIVE_MISSING";
      throw isMissing ? commandFailed(image, command, "left no archive at $SLIPWAY_ARCHIVE") : error;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
