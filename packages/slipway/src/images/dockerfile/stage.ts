/**
 * Turns the instructions of one stage into layers and configuration. Each COPY, ADD and (when the folder is new)
 * WORKDIR makes a layer; all others change the configuration only. Every instruction leaves a line of history.
 */
import { posix } from "node:path";
import { assertNever } from "@slipway/base";
import type { LayerEntry } from "../layer-entry.ts";
import { type WrittenLayer, writeLayer } from "../layer-writer.ts";
import { ImageFiles } from "../layers.ts";
import type { ImageLayout } from "../layout.ts";
import type { Descriptor, HistoryEntry, ImageConfigFile } from "../oci.ts";
import { archiveAmong } from "./archives.ts";
import { copyEntries, folderEntries } from "./copy.ts";
import type { SourceDates } from "./dates.ts";
import { exposedPorts, healthcheckOf } from "./health-and-ports.ts";
import { invalid } from "./invalid.ts";
import { ownerOf } from "./owner.ts";
import type { Dockerfile, Instruction, Stage } from "./parse.ts";
import { type RunPorts, runInstruction } from "./run.ts";
import { plainSource, type SourceTree, withHeredocs } from "./tree.ts";
import {
  expandWord,
  parseJsonForm,
  splitPairs,
  splitWords,
  type Variables,
  variable,
  WordError,
} from "./words.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Config = Mutable<ImageConfigFile["config"]>;

/** An image in the making, or a finished one to build on. */
export interface StageImage {
  readonly config: ImageConfigFile["config"];
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly string[];
  /** By layer: what identifies its content whatever the times of its files; what RUN is cached by. */
  readonly contents: readonly string[];
  /** Seconds since the epoch: of every file that RUN makes. The base's, so that no commit changes them. */
  readonly runMtime: number;
  /** Seconds since the epoch: what COPY --from takes of it is as old as this, its newest file. 0: not known. */
  readonly newest: number;
  readonly history: readonly HistoryEntry[];
  /** Build arguments of the stage; a stage that starts from it has them too. Empty for other images. */
  readonly args: Variables;
  /** What the first FROM of the chain named, and its digest; undefined for scratch. */
  readonly base: { readonly name: string; readonly digest: string } | undefined;
}

export interface StageInputs {
  readonly layout: ImageLayout;
  readonly dockerfile: Dockerfile;
  readonly stage: Stage;
  readonly base: StageImage;
  readonly context: SourceTree;
  readonly run: RunPorts;
  /** A stage or image named by COPY --from. */
  readonly treeOf: (name: string, where: string) => Promise<SourceTree>;
  /** `args` of the config. */
  readonly buildArgs: Variables;
  /** ARG before the first FROM, and the platform's names: visible once a stage repeats them. */
  readonly globalArgs: Variables;
  /** Seconds since the epoch: the commit's time, for history, and for files of which nothing else is known. */
  readonly mtime: number;
  readonly dates: SourceDates;
  readonly onLayer: ((layer: Descriptor) => void) | undefined;
}

export async function buildStage(inputs: StageInputs): Promise<StageImage> {
  const build = new StageBuild(inputs);
  for (const instruction of inputs.stage.instructions) await build.apply(instruction);
  return build.finish();
}

/** Of all at once, as far as the file says by itself what is copied: the answers are there when they are wanted. */
export function askTimes({ instructions }: Stage, dates: SourceDates): void {
  for (const { keyword, text, flags } of instructions) {
    if ((keyword !== "COPY" && keyword !== "ADD") || flags.some(({ name }) => name === "from")) continue;
    const sources = (parseJsonForm(text) ?? text.split(/\s+/)).slice(0, -1).map(plainSource);
    if (/[$<\\]/.test(text) || sources.includes(undefined)) continue;
    dates.timeOf(sources as string[]).catch(() => undefined); // told where it is wanted
  }
}

class StageBuild {
  readonly #in: StageInputs;
  readonly #config: Config;
  readonly #layers: Descriptor[];
  readonly #diffIds: string[];
  readonly #contents: string[];
  readonly #history: HistoryEntry[];
  readonly #args: Record<string, string>;
  #isCmdOwn = false;
  #files: ImageFiles | undefined;
  /** Layers that are over `#files` by now. */
  readonly #uncovered: Descriptor[] = [];
  #newest: number;

  constructor(inputs: StageInputs) {
    this.#in = inputs;
    this.#config = structuredClone(inputs.base.config) as Config;
    this.#layers = [...inputs.base.layers];
    this.#diffIds = [...inputs.base.diffIds];
    this.#contents = [...inputs.base.contents];
    this.#history = [...inputs.base.history];
    this.#args = { ...inputs.base.args };
    this.#newest = inputs.base.newest;
  }

  finish(): StageImage {
    return {
      config: this.#config,
      layers: this.#layers,
      diffIds: this.#diffIds,
      contents: this.#contents,
      runMtime: this.#in.base.runMtime,
      newest: this.#newest,
      history: this.#history,
      args: this.#args,
      base: this.#in.base.base,
    };
  }

  async apply(instruction: Instruction): Promise<void> {
    try {
      await this.#dispatch(instruction);
    } catch (error) {
      if (error instanceof WordError) throw this.#fail(instruction, error.message);
      throw error;
    }
  }

  async #dispatch(instruction: Instruction): Promise<void> {
    const { keyword, text } = instruction;
    if (text === "" && keyword !== "CMD" && keyword !== "ENTRYPOINT") {
      throw this.#fail(instruction, `${keyword} needs an argument`);
    }
    switch (keyword) {
      case "COPY":
      case "ADD":
        return this.#copy(instruction);
      case "RUN":
        return this.#run(instruction);
      case "WORKDIR":
        return this.#workdir(instruction);
      case "ARG":
        return this.#arg(instruction); // leaves no trace in the image
      case "ENV":
        for (const [name, value] of this.#pairs(instruction)) this.#setEnv(name, value);
        break;
      case "LABEL":
        this.#config.Labels = { ...this.#config.Labels, ...Object.fromEntries(this.#pairs(instruction)) };
        break;
      case "USER":
        this.#config.User = this.#expand(text);
        break;
      case "EXPOSE": {
        const words = text.split(/\s+/).flatMap((word) => this.#expand(word).split(/\s+/));
        const ports = exposedPorts(words, (message) => this.#fail(instruction, message));
        const added = Object.fromEntries(ports.map((port) => [port, {}]));
        this.#config.ExposedPorts = { ...this.#config.ExposedPorts, ...added };
        break;
      }
      case "VOLUME": {
        const paths = parseJsonForm(text) ?? text.split(/\s+/);
        const volumes = Object.fromEntries(paths.map((path) => [this.#expand(path), {}]));
        this.#config.Volumes = { ...this.#config.Volumes, ...volumes };
        break;
      }
      case "CMD":
        this.#config.Cmd = this.#commandForm(text);
        this.#isCmdOwn = true;
        break;
      case "ENTRYPOINT":
        this.#config.Entrypoint = this.#commandForm(text);
        // A base's CMD was made for the base's ENTRYPOINT; Docker drops it too.
        if (!this.#isCmdOwn) delete this.#config.Cmd;
        break;
      case "STOPSIGNAL":
        this.#config.StopSignal = this.#expand(text);
        break;
      case "SHELL": {
        const shell = parseJsonForm(text);
        if (shell === undefined) throw this.#fail(instruction, "SHELL must be a JSON array");
        this.#config.Shell = shell;
        break;
      }
      case "HEALTHCHECK":
        this.#config.Healthcheck = healthcheckOf(
          text,
          (name) => this.#flag(instruction, name),
          (message) => this.#fail(instruction, message),
        );
        break;
      case "MAINTAINER":
        this.#config.Labels = { ...this.#config.Labels, maintainer: this.#expand(text) };
        break;
      default:
        assertNever(keyword as never); // refuseUnsupported has let through only the above
    }
    this.#record(instruction, true);
  }

  // Instructions that make layers

  async #copy(instruction: Instruction): Promise<void> {
    const words = (parseJsonForm(instruction.text) ?? instruction.text.split(/\s+/)).map((word) =>
      this.#expand(word),
    );
    const destination = words.pop();
    if (destination === undefined || words.length === 0) {
      throw this.#fail(instruction, `${instruction.keyword} needs a source and a destination`);
    }
    const from = this.#flag(instruction, "from");
    if (from !== undefined && instruction.keyword === "ADD") {
      throw this.#fail(instruction, "ADD has no --from; use COPY");
    }
    const where = `${this.#in.dockerfile.where}:${instruction.line}`;
    const files = from === undefined ? this.#in.context : await this.#in.treeOf(from, where);
    const tree = withHeredocs(files, instruction.heredocs, (text) => this.#expand(text));
    const archive = instruction.keyword === "ADD" ? await archiveAmong(tree, words) : undefined;
    if (archive !== undefined) {
      throw this.#fail(
        instruction,
        `ADD would unpack ${archive}, which the builder without an engine does not do`,
        "Use COPY to copy the archive as it is, or unpack it before the build.",
      );
    }
    const chmod = this.#flag(instruction, "chmod");
    if (chmod !== undefined && !/^[0-7]{3,4}$/.test(chmod)) {
      throw this.#fail(instruction, `--chmod must be octal, got "${chmod}"`);
    }
    const fail = (message: string, hint?: string): Error => this.#fail(instruction, message, hint);
    const image = await this.#imageFiles();
    const { entries, taken } = await copyEntries({
      tree,
      sources: words,
      destination,
      workingDir: this.#config.WorkingDir ?? "/",
      owner: await ownerOf(this.#flag(instruction, "chown"), image, fail),
      mode: chmod === undefined ? undefined : Number.parseInt(chmod, 8),
      files: image,
      fail,
    });
    const heredocs = new Set(instruction.heredocs.flatMap(({ name }) => [`<<${name}`, `<<-${name}`]));
    const mtime = await this.#timeOf(tree, taken, heredocs);
    this.#newest = Math.max(this.#newest, mtime);
    await this.#addLayer(entries, mtime, instruction);
  }

  /** Seconds since the epoch: how old what COPY takes from `tree` is. */
  async #timeOf(
    { newest }: SourceTree,
    taken: readonly string[],
    heredocs: ReadonlySet<string>,
  ): Promise<number> {
    const { mtime, dates } = this.#in;
    const files = taken.filter((path) => !heredocs.has(path));
    const times = [
      ...(files.length === 0 ? [] : [newest === undefined ? await dates.timeOf(files) : newest || mtime]),
      ...(files.length === taken.length ? [] : [await dates.ownTime()]),
    ];
    return Math.max(...times.map((time) => time ?? mtime));
  }

  async #run(instruction: Instruction): Promise<void> {
    const where = `${this.#in.dockerfile.where}:${instruction.line}`;
    const env = this.#variables();
    const result = await runInstruction(
      instruction,
      {
        layers: this.#layers,
        diffIds: this.#diffIds,
        contents: this.#contents,
        env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
        user: this.#config.User ?? "",
        workingDir: this.#config.WorkingDir ?? "/",
        shell: this.#config.Shell ?? ["/bin/sh", "-c"],
        baseName: this.#in.base.base?.name,
        mtime: this.#in.base.runMtime,
        context: this.#in.context,
        treeOf: (name) => this.#in.treeOf(name, where),
        expand: (word) => this.#expand(word),
        fail: (message, hint) => this.#fail(instruction, message, hint),
        where,
      },
      this.#in.run,
    );
    // What a bind mount shows it has no COPY to date it.
    const isOfMounts = instruction.flags.some(
      ({ name, value }) =>
        name === "mount" && !/(?:^|,)\s*type=(?:cache|secret|tmpfs)\b/.test(this.#expand(value ?? "")),
    );
    const ownTime = isOfMounts ? undefined : await this.#in.dates.ownTime();
    this.#newest = Math.max(this.#newest, ownTime ?? this.#in.mtime);
    if (result === "empty") this.#record(instruction, true);
    else this.#add(result, result.diffId, instruction);
  }

  async #workdir(instruction: Instruction): Promise<void> {
    const path = posix.resolve(this.#config.WorkingDir ?? "/", this.#expand(instruction.text));
    this.#config.WorkingDir = path;
    const entries = folderEntries(await this.#imageFiles(), path);
    if (entries.length === 0) this.#record(instruction, true);
    else {
      const { base, dates, mtime } = this.#in;
      await this.#addLayer(entries, base.runMtime || ((await dates.ownTime()) ?? mtime), instruction);
    }
  }

  async #addLayer(entries: readonly LayerEntry[], mtime: number, instruction: Instruction): Promise<void> {
    const { layout, dockerfile } = this.#in;
    // What RUN is cached by; a file without RUN needs no second hash.
    const hasContentId = dockerfile.stages.some(({ instructions }) =>
      instructions.some(({ keyword }) => keyword === "RUN"),
    );
    const layer = await writeLayer(layout, entries, { mtime, compression: "gzip", hasContentId });
    this.#add(layer, layer.contentId ?? layer.diffId, instruction);
  }

  #add(layer: WrittenLayer, content: string, instruction: Instruction): void {
    this.#layers.push(layer.descriptor);
    this.#diffIds.push(layer.diffId);
    this.#contents.push(content);
    this.#uncovered.push(layer.descriptor);
    this.#in.onLayer?.(layer.descriptor);
    this.#record(instruction, false);
  }

  // Configuration

  #setEnv(name: string, value: string): void {
    const env = [...(this.#config.Env ?? [])];
    const at = env.findIndex((one) => one.startsWith(`${name}=`));
    if (at < 0) env.push(`${name}=${value}`);
    else env[at] = `${name}=${value}`;
    this.#config.Env = env;
  }

  #arg(instruction: Instruction): void {
    for (const word of splitWords(instruction.text, this.#in.dockerfile.escapeChar)) {
      const equals = word.indexOf("=");
      const name = equals < 0 ? word : word.slice(0, equals);
      const given =
        variable(this.#in.buildArgs, name) ?? (equals < 0 ? variable(this.#in.globalArgs, name) : undefined);
      if (given !== undefined) this.#args[name] = given;
      else if (equals >= 0) this.#args[name] = this.#expand(word.slice(equals + 1));
    }
  }

  /** JSON is argv; everything else is a line for the shell. Variables are the container's business. */
  #commandForm(text: string): readonly string[] {
    return parseJsonForm(text) ?? [...(this.#config.Shell ?? ["/bin/sh", "-c"]), text];
  }

  // Words

  #variables(): Variables {
    const env = (this.#config.Env ?? []).map((one): [string, string] => {
      const equals = one.indexOf("=");
      return [one.slice(0, equals), one.slice(equals + 1)];
    });
    return { ...this.#args, ...Object.fromEntries(env) };
  }

  #expand(word: string): string {
    return expandWord(word, this.#variables(), this.#in.dockerfile.escapeChar);
  }

  /** All values see the variables as they were before the instruction. */
  #pairs(instruction: Instruction): readonly (readonly [string, string])[] {
    const pairs = splitPairs(instruction.text, this.#in.dockerfile.escapeChar);
    if (pairs === undefined) throw this.#fail(instruction, `${instruction.keyword} is written NAME=value`);
    const variables = this.#variables();
    const { escapeChar } = this.#in.dockerfile;
    return pairs.map(
      ([name, value]) =>
        [expandWord(name, variables, escapeChar), expandWord(value, variables, escapeChar)] as const,
    );
  }

  #flag(instruction: Instruction, name: string): string | undefined {
    const flag = instruction.flags.find((one) => one.name === name);
    return flag?.value === undefined ? undefined : this.#expand(flag.value);
  }

  async #imageFiles(): Promise<ImageFiles> {
    const covers = this.#uncovered.splice(0);
    if (this.#files === undefined)
      this.#files = await ImageFiles.open(this.#in.layout, { layers: this.#layers });
    else for (const layer of covers) this.#files = await this.#files.under(layer);
    return this.#files;
  }

  #record(instruction: Instruction, isEmpty: boolean): void {
    const flags = instruction.flags.map((flag) => `--${flag.name}=${flag.value ?? ""} `).join("");
    const bodies = instruction.heredocs.map(({ name, content }) => `${content}${name}`);
    this.#history.push({
      created: new Date(this.#in.mtime * 1000).toISOString(),
      created_by: [`${instruction.keyword} ${flags}${instruction.text}`, ...bodies].join("\n"),
      comment: "slipway",
      ...(isEmpty ? { empty_layer: true } : {}),
    });
  }

  #fail(instruction: Instruction, message: string, hint?: string): Error {
    return invalid(this.#in.dockerfile.where, instruction.line, message, hint);
  }
}
