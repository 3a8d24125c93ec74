/**
 * Compose files from disk to a resolved document: variables, `env_file`, `extends`, `include`, several files over each
 * other. Files come through a port, so that all of it is tested without any.
 */
import { dirname, join, relative, resolve } from "node:path";
import { readTextIfExists, systemCode } from "@slipway/base";
import { EnvFileError, parseEnvFile } from "./env-file.ts";
import { boolean, field, knownKeys, list, mapOf, printed, text, texts } from "./fields.ts";
import { InterpolationError, interpolate } from "./interpolate.ts";
import { mergeDocuments, mergeServices, normalized } from "./merge.ts";
import type { ComposeProject } from "./model.ts";
import { defaultName, readProject } from "./project.ts";
import {
  composeError,
  invalid,
  type MapTree,
  mapTexts,
  mapTree,
  type Place,
  parseTree,
  scalarTree,
  type Tree,
} from "./tree.ts";

/** In the order in which Compose looks for them. */
export const FILE_NAMES = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
const OVERRIDES: Readonly<Record<string, string>> = {
  "compose.yaml": "compose.override.yaml",
  "compose.yml": "compose.override.yml",
  "docker-compose.yaml": "docker-compose.override.yaml",
  "docker-compose.yml": "docker-compose.override.yml",
};

export interface LoadOptions {
  /** Absolute. */
  readonly cwd: string;
  /**
   * As given with -f, later ones over earlier ones; none: those of COMPOSE_FILE, else looked for from `cwd` upwards, as
   * Compose does.
   */
  readonly files?: readonly string[];
  readonly profiles?: readonly string[];
  readonly projectName?: string | undefined;
  /** Of this process; wins over `.env`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Undefined when there is no such file. */
  readonly readText?: (path: string) => Promise<string | undefined>;
}

export interface LoadedProject {
  readonly project: ComposeProject;
  /** Absolute: the folder of the first file. */
  readonly directory: string;
  readonly files: readonly string[];
  readonly warnings: readonly string[];
}

export async function loadProject(options: LoadOptions): Promise<LoadedProject> {
  const read = noFolder(options.readText ?? readTextIfExists);
  const files = await chosenFiles(options, read);
  const directory = dirname(files[0] as string);
  const loader = new Loader(options, read);
  const variables = await loader.variables(directory, [join(directory, ".env")], true);
  const document = await loader.project(files, directory, variables, []);
  const given = options.profiles ?? [];
  const fromEnvironment = (variables("COMPOSE_PROFILES") ?? "").split(",").filter((one) => one !== "");
  const project = readProject(document, {
    profiles: [...given, ...fromEnvironment],
    name: options.projectName ?? variables("COMPOSE_PROJECT_NAME") ?? defaultName(directory),
  });
  return { project, directory, files, warnings: loader.warnings };
}

type Lookup = (name: string) => string | undefined;
type Read = (path: string) => Promise<string | undefined>;

/** A folder where a file is meant is a mistake in what names it, not of this program. */
const noFolder =
  (read: Read): Read =>
  async (path) => {
    try {
      return await read(path);
    } catch (error) {
      if (systemCode(error) !== "EISDIR") throw error;
      throw composeError(
        "COMPOSE_FILE_FOLDER",
        { file: path, line: undefined, directory: path },
        "is a folder, and a file is expected here",
        "Name the file in it.",
      );
    }
  };

async function chosenFiles(options: LoadOptions, read: Read): Promise<readonly string[]> {
  const { cwd } = options;
  const named = options.files?.length ? options.files : await fromVariables(options, read);
  if (named.length > 0) {
    return (await Promise.all(named.map((file) => fileOrFolder(resolve(cwd, file), read)))).flat();
  }
  for (let folder = cwd; ; folder = dirname(folder)) {
    const found = await filesIn(folder, read);
    if (found !== undefined) return found;
    if (folder === dirname(folder)) break;
  }
  throw composeError(
    "COMPOSE_FILE_MISSING",
    { file: cwd, line: undefined, directory: cwd },
    `there is no ${FILE_NAMES.join(", ")} here or above`,
    "Name the file with -f.",
  );
}

/** Of COMPOSE_FILE. */
async function fromVariables({ cwd, env }: LoadOptions, read: Read): Promise<readonly string[]> {
  const named = env["COMPOSE_FILE"] ?? (await fromDotEnv(cwd, env, read))["COMPOSE_FILE"] ?? "";
  return named === "" ? [] : named.split(env["COMPOSE_PATH_SEPARATOR"] ?? ":");
}

/** The file with its override; undefined when the folder has none. */
async function filesIn(folder: string, read: Read): Promise<readonly string[] | undefined> {
  for (const name of FILE_NAMES) {
    if ((await read(join(folder, name))) === undefined) continue;
    const over = join(folder, OVERRIDES[name] as string);
    return (await read(over)) === undefined ? [join(folder, name)] : [join(folder, name), over];
  }
  return undefined;
}

/** A folder stands for the files in it. */
async function fileOrFolder(path: string, read: Read): Promise<readonly string[]> {
  try {
    await read(path);
    return [path];
  } catch (error) {
    if ((error as { code?: unknown }).code !== "COMPOSE_FILE_FOLDER") throw error;
  }
  const found = await filesIn(path, read);
  if (found !== undefined) return found;
  throw composeError(
    "COMPOSE_FILE_MISSING",
    { file: path, line: undefined, directory: path },
    `is a folder without ${FILE_NAMES.join(", ")}`,
    "Name the file with -f.",
  );
}

/** Which files there are may stand in `.env` itself. What is wrong in it is told when it is read for good. */
async function fromDotEnv(
  cwd: string,
  env: LoadOptions["env"],
  read: Read,
): Promise<Readonly<Record<string, string>>> {
  try {
    return parseEnvFile(withLastEnd((await read(join(cwd, ".env"))) ?? ""), (name) => env[name]);
  } catch {
    return {};
  }
}

/**
 * A last line `KEY` without its end gives Compose a variable without a name: the engine refuses it in a container, but here
 * nobody can ask for it. With its end it is what the process has, which counts before all of `.env` anyway.
 */
const withLastEnd = (content: string): string => `${content}\n`;

class Loader {
  readonly #options: LoadOptions;
  readonly #read: Read;
  readonly #unset = new Set<string>();

  constructor(options: LoadOptions, read: Read) {
    this.#options = options;
    this.#read = read;
  }

  get warnings(): readonly string[] {
    return [...this.#unset].map((name) => `the variable ${name} is not set; it counts as empty`);
  }

  /** The process's environment before what the files have. */
  async variables(
    directory: string,
    files: readonly string[],
    isOptional: boolean,
    outer?: Lookup,
  ): Promise<Lookup> {
    const { env } = this.#options;
    const own: Record<string, string> = {};
    const lookup: Lookup = (name) => env[name] ?? outer?.(name) ?? own[name];
    for (const file of files) {
      const content = await this.#read(file);
      if (content !== undefined) Object.assign(own, this.#envFile(file, withLastEnd(content), lookup));
      else if (!isOptional)
        throw this.#missing(file, { file: this.#shown(directory), line: undefined, directory });
    }
    return lookup;
  }

  async project(
    files: readonly string[],
    directory: string,
    variables: Lookup,
    including: readonly string[],
  ): Promise<MapTree> {
    let document: MapTree | undefined;
    for (const file of files) {
      if (including.includes(file))
        throw composeError(
          "COMPOSE_INVALID",
          { file: this.#shown(file), line: undefined, directory },
          `files include each other in a circle: ${[...including, file].map((one) => this.#shown(one)).join(" → ")}`,
        );
      const tree = await this.#file(file, directory, variables, undefined);
      const extended = await this.#extended(tree, file, directory, variables);
      document = document === undefined ? extended : mergeDocuments(document, extended);
    }
    const whole = document as MapTree;
    const included = await this.#included(whole, variables, [...including, ...files]);
    return await this.#withEnvFiles(included, variables);
  }

  async #file(path: string, directory: string, variables: Lookup, from: Place | undefined): Promise<MapTree> {
    const content = await this.#read(path);
    const shown = this.#shown(path);
    if (content === undefined) throw this.#missing(path, from ?? { file: shown, line: undefined, directory });
    const tree = mapTexts(parseTree(content, shown, directory), (written, place) => {
      try {
        const { text: expanded, unset } = interpolate(written, variables);
        for (const name of unset) this.#unset.add(name);
        return expanded;
      } catch (error) {
        if (error instanceof InterpolationError) throw composeError("COMPOSE_INVALID", place, error.message);
        throw error;
      }
    });
    return mapOf(tree, "the file");
  }

  // extends

  async #extended(document: MapTree, file: string, directory: string, variables: Lookup): Promise<MapTree> {
    const services = field(document, "services");
    if (services?.kind !== "map") return document;
    const entries = new Map<string, Tree>();
    for (const [name, service] of services.entries)
      entries.set(
        name,
        await this.#inherited(service, document, file, directory, variables, [`${file}#${name}`]),
      );
    const changed = mapTree(entries, services.place, services);
    return mapTree(new Map([...document.entries, ["services", changed]]), document.place, document);
  }

  async #inherited(
    service: Tree,
    document: MapTree,
    file: string,
    directory: string,
    variables: Lookup,
    path: readonly string[],
  ): Promise<Tree> {
    const wanted = service.kind === "map" ? field(service, "extends") : undefined;
    if (service.kind !== "map" || wanted === undefined) return service;
    const map = wanted.kind === "map" ? knownKeys(wanted, "extends", ["service", "file"]) : undefined;
    const fileTree = map === undefined ? undefined : field(map, "file");
    const nameTree = map === undefined ? wanted : map.entries.get("service");
    if (nameTree === undefined) throw invalid(wanted, "extends: has no service");
    const name = text(nameTree, "extends");
    const from = fileTree === undefined ? file : resolve(directory, text(fileTree, "extends/file"));
    const folder = fileTree === undefined ? directory : dirname(from);
    const other =
      fileTree === undefined ? document : await this.#file(from, folder, variables, fileTree.place);
    const others = field(other, "services");
    const base = others?.kind === "map" ? others.entries.get(name) : undefined;
    if (base === undefined) throw invalid(wanted, `extends: ${this.#shown(from)} has no service "${name}"`);
    const step = `${from}#${name}`;
    if (path.includes(step)) throw invalid(wanted, "services extend each other in a circle");
    const whole = await this.#inherited(base, other, from, folder, variables, [...path, step]);
    const own = new Map([...service.entries].filter(([key]) => key !== "extends"));
    return mergeServices(whole, mapTree(own, service.place, service));
  }

  // include

  async #included(document: MapTree, variables: Lookup, path: readonly string[]): Promise<MapTree> {
    const wanted = field(document, "include");
    if (wanted === undefined) return document;
    let result = mapTree(
      new Map([...document.entries].filter(([key]) => key !== "include")),
      document.place,
      document,
    );
    for (const item of list(wanted, "include")) {
      const map =
        item.kind === "map"
          ? knownKeys(item, "include", ["path", "project_directory", "env_file"])
          : undefined;
      const pathTree = map === undefined ? item : map.entries.get("path");
      if (pathTree === undefined) throw invalid(item, "include: has no path");
      const base = item.place.directory;
      const files = texts(pathTree, "include").map((one) => resolve(base, one));
      for (const file of files)
        if ((await this.#read(file)) === undefined) throw this.#missing(file, item.place);
      const [folderTree, envTree] = [map && field(map, "project_directory"), map && field(map, "env_file")];
      const directory =
        folderTree === undefined ? dirname(files[0] as string) : resolve(base, text(folderTree, "include"));
      const envFiles =
        envTree === undefined
          ? [join(directory, ".env")]
          : texts(envTree, "include").map((one) => resolve(base, one));
      const inner = await this.variables(directory, envFiles, envTree === undefined, variables);
      result = joined(result, await this.project(files, directory, inner, path), item);
    }
    return result;
  }

  // env_file

  async #withEnvFiles(document: MapTree, variables: Lookup): Promise<MapTree> {
    const services = field(document, "services");
    if (services?.kind !== "map") return document;
    const entries = new Map<string, Tree>();
    for (const [name, service] of services.entries)
      entries.set(name, service.kind === "map" ? await this.#withEnvFile(name, service, variables) : service);
    return mapTree(
      new Map([...document.entries, ["services", mapTree(entries, services.place, services)]]),
      document.place,
      document,
    );
  }

  /** The files below what `environment` says. */
  async #withEnvFile(name: string, service: MapTree, variables: Lookup): Promise<MapTree> {
    const what = `services/${name}/env_file`;
    const wanted = field(service, "env_file");
    const plainService = normalized(service);
    const environment = field(plainService, "environment");
    const written =
      environment === undefined ? [] : mapOf(environment, `services/${name}/environment`).entries;
    const own = new Map([...written].map(([key, value]) => [key, orTaken(key, value, variables)]));
    // As compose-go 2.13 has it (WithServicesEnvironmentResolved): the project's before the service's own.
    const lookup: Lookup = (one) => {
      const value = own.get(one);
      return (
        variables(one) ??
        (value === undefined || isNull(value) ? undefined : printed(value, `${what}/${one}`))
      );
    };
    let said: Readonly<Record<string, string>> = {};
    const found = new Map<string, Tree>();
    const items = wanted === undefined ? [] : wanted.kind === "list" ? wanted.items : [wanted];
    for (const item of items) {
      const map = item.kind === "map" ? knownKeys(item, what, ["path", "required"], ["format"]) : undefined;
      const pathTree = map === undefined ? item : map.entries.get("path");
      const required = map === undefined ? undefined : field(map, "required");
      if (pathTree === undefined) throw invalid(item, `${what}: has no path`);
      const path = resolve(item.place.directory, text(pathTree, what));
      const content = await this.#read(path);
      if (content !== undefined) {
        said = this.#envFile(path, content, lookup, said);
        for (const [key, value] of Object.entries(said)) found.set(key, scalarTree(value, item.place));
      } else if (required === undefined || boolean(required, what)) throw this.#missing(path, item.place);
    }
    for (const [key, value] of own) found.set(key, value);
    const entries = new Map([...plainService.entries].filter(([key]) => key !== "env_file"));
    if (found.size > 0) entries.set("environment", mapTree(found, service.place));
    const build = entries.get("build");
    if (build?.kind === "map") entries.set("build", withArgs(build, variables));
    return mapTree(entries, service.place, service);
  }

  #envFile(
    path: string,
    content: string,
    lookup: Lookup,
    before: Readonly<Record<string, string>> = {},
  ): Readonly<Record<string, string>> {
    try {
      return parseEnvFile(content, lookup, before);
    } catch (error) {
      if (!(error instanceof EnvFileError)) throw error;
      throw composeError(
        "COMPOSE_INVALID",
        { file: this.#shown(path), line: error.line, directory: dirname(path) },
        error.message,
      );
    }
  }

  #missing(path: string, place: Place) {
    return composeError("COMPOSE_FILE_MISSING", place, `there is no file ${this.#shown(path)}`);
  }

  #shown(path: string): string {
    const short = relative(this.#options.cwd, path);
    return short === "" ? "." : short.startsWith("../../") ? path : short;
  }
}

const isNull = (tree: Tree): boolean => tree.kind === "scalar" && tree.value === null;

/** A variable, or a build argument, without a value is what the process, or `.env`, has. */
function orTaken(name: string, value: Tree, variables: Lookup): Tree {
  return isNull(value) ? scalarTree(variables(name) ?? null, value.place) : value;
}

function withArgs(build: MapTree, variables: Lookup): MapTree {
  const args = field(build, "args");
  if (args?.kind !== "map") return build;
  const taken = new Map([...args.entries].map(([name, value]) => [name, orTaken(name, value, variables)]));
  return mapTree(new Map([...build.entries, ["args", mapTree(taken, args.place, args)]]), build.place, build);
}

/** Of an included project everything is new: what both have is a mistake. */
function joined(document: MapTree, included: MapTree, at: Tree): MapTree {
  const entries = new Map(document.entries);
  for (const section of ["services", "networks", "volumes"]) {
    const [own, other] = [field(document, section), field(included, section)];
    if (other?.kind !== "map") continue;
    if (own?.kind !== "map") {
      entries.set(section, other);
      continue;
    }
    const both = [...other.entries.keys()].find((name) => own.entries.has(name) && section === "services");
    if (both !== undefined) throw invalid(at, `include: the service "${both}" is in both files`);
    entries.set(section, mapTree(new Map([...other.entries, ...own.entries]), own.place));
  }
  return mapTree(entries, document.place, document);
}
