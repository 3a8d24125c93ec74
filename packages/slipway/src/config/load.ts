/** Finds and evaluates `slipway.config.ts`, and resolves it for one environment. */
import { existsSync, statSync } from "node:fs";
import { registerHooks } from "node:module";
import { basename, dirname, join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { nearest, SlipwayError } from "@slipway/base";
import { configError } from "./problems.ts";
import { type Resolved, resolveConfig } from "./resolve.ts";
import { configSchema, type ParsedConfig } from "./schema.ts";
import { toItsEnd, UNFINISHED } from "./to-its-end.ts";

export const CONFIG_FILE = "slipway.config.ts";

export interface LoadOptions {
  /** Where the search starts; it goes up to the root of the file system. */
  readonly cwd: string;
  /** `--config`: a file instead of a search. */
  readonly file?: string | undefined;
  /** `--env`; default: `local` when there is one, else the only one. */
  readonly environment?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

export async function loadConfig(options: LoadOptions): Promise<Resolved> {
  const file = options.file === undefined ? findUp(options.cwd) : resolve(options.cwd, options.file);
  if (file === undefined || statSync(file, { throwIfNoEntry: false })?.isFile() !== true) {
    throw new SlipwayError({
      code: "CONFIG_NOT_FOUND",
      where: options.file ?? CONFIG_FILE,
      message: options.file === undefined ? "not found in this folder or above" : whatFileIs(file),
      hint: "Run `slipway init` to write one from your Dockerfiles and manifests.",
      exitCode: 2,
    });
  }
  const parsed = parseConfig(basename(file), await evaluate(file, options.cwd));
  return resolveConfig(parsed, {
    root: dirname(file),
    file: basename(file),
    environment: chooseEnvironment(parsed, options.environment, basename(file)),
    env: options.env,
  });
}

export function parseConfig(file: string, value: unknown): ParsedConfig {
  // Compiling code for each object pays off when many are parsed; this is one.
  const result = configSchema.safeParse(value, { reportInput: true, jitless: true });
  if (!result.success) throw configError(file, result.error);
  return result.data;
}

const whatFileIs = (path: string | undefined): string =>
  path !== undefined && existsSync(path) ? "is no file" : "no such file";

function findUp(cwd: string): string | undefined {
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const file = join(folder, CONFIG_FILE);
    if (existsSync(file)) return file;
    if (dirname(folder) === folder) return undefined;
  }
}

let areHooksSet = false;
/** A project need not install Slipway to import it: the name resolves to the Slipway that is running. */
export function bindSlipwayImports(): void {
  if (areHooksSet) return;
  areHooksSet = true;
  const own = (name: string): string =>
    new URL(import.meta.url.endsWith(".ts") ? `../${name}.ts` : `../${name}.js`, import.meta.url).href;
  const doors: Readonly<Record<string, string>> = {
    slipway: own("index"),
    "slipway/verify": own("verify/verify"),
    "slipway/verify/node-test": own("verify/node-test/node-test"),
    "slipway/lifecycle": own("lifecycle/lifecycle"),
  };
  registerHooks({
    resolve(specifier, context, next) {
      const door = doors[specifier];
      return door === undefined
        ? next(specifier, context)
        : { url: door, shortCircuit: true, format: door.endsWith(".ts") ? "module-typescript" : "module" };
    },
  });
}

/** A process that was started from a heap cannot import (`cli/ready.ts`); it puts its own way here. */
export const userModules = { load: (url: URL): Promise<unknown> => import(url.href) };

/** Imports a user's TypeScript (the configuration, a spec) with the name `slipway` bound to this program. */
async function importUserModule(file: string): Promise<Record<string, unknown>> {
  bindSlipwayImports();
  const url = pathToFileURL(file);
  url.searchParams.set("mtime", String(statSync(file).mtimeMs));
  return (await userModules.load(url)) as Record<string, unknown>;
}

async function evaluate(file: string, cwd: string): Promise<unknown> {
  let module: Record<string, unknown>;
  try {
    module = await toItsEnd(unfinished(relative(cwd, file) || file), () => importUserModule(file));
  } catch (cause) {
    const place = /slipway\.config\.ts[^:\s]*:(\d+)(?::(\d+))?/.exec(
      cause instanceof Error ? `${cause.stack}` : "",
    );
    throw new SlipwayError({
      code: "CONFIG_NOT_LOADED",
      where:
        place === null
          ? relative(cwd, file) || file
          : `${relative(cwd, file) || file}:${place[1]}${place[2] === undefined ? "" : `:${place[2]}`}`,
      message: cause instanceof Error ? cause.message : String(cause),
      hint:
        cause instanceof SyntaxError
          ? "It is TypeScript run by Node's type stripping: no enums, no namespaces, no parameter properties."
          : undefined,
      cause,
      exitCode: 2,
    });
  }
  if (module["default"] === undefined) {
    throw new SlipwayError({
      code: "CONFIG_NO_DEFAULT",
      where: relative(cwd, file) || file,
      message: "has no default export",
      hint: "Write `export default defineConfig({ … })`.",
      exitCode: 2,
    });
  }
  return module["default"];
}

const unfinished = (where: string): SlipwayError =>
  new SlipwayError({
    code: "CONFIG_NOT_LOADED",
    where,
    message: UNFINISHED,
    hint: "Import nothing that runs by being imported.",
    exitCode: 2,
  });

function chooseEnvironment(parsed: ParsedConfig, wanted: string | undefined, file: string): string {
  const known = Object.keys(parsed.environments);
  const chosen = wanted ?? (known.includes("local") ? "local" : known.length === 1 ? known[0] : undefined);
  if (chosen !== undefined && known.includes(chosen)) return chosen;
  const guess = wanted === undefined ? undefined : nearest(wanted, known);
  throw new SlipwayError({
    code: "CONFIG_NO_ENVIRONMENT",
    where: `${file}/environments`,
    message:
      wanted === undefined
        ? "has several environments and none is called local"
        : `has no environment "${wanted}"`,
    hint:
      guess === undefined
        ? `Choose one with --env: ${known.join(", ")}.`
        : `Did you mean "${guess}"? Known: ${known.join(", ")}.`,
    exitCode: 2,
  });
}
