/**
 * Manifests that another program makes: a kustomize directory, a Helm chart. Slipway runs the program that is there and
 * reads what it prints; what comes out is treated like plain YAML, so images, hashes, patches and checks are the same.
 *
 * Places in messages name the source and the object, since a line of the output is nobody's file.
 */
import { stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { type ExecResult, exec, SlipwayError, shellLine } from "@slipway/base";
import type { AnyObject } from "@slipway/kube";
import type { HelmSource } from "../../config/types.ts";
import { type LoadedObject, parseManifest } from "./manifests.ts";

/** Runs a program to its end; rejects with code EXEC_NOT_FOUND when there is none of that name. */
export type RunProgram = (command: readonly string[], cwd: string) => Promise<ExecResult>;

export function programRunner(env: NodeJS.ProcessEnv = process.env): RunProgram {
  return (command, cwd) => exec(command, { cwd, env });
}

export interface Sourced {
  readonly loaded: readonly LoadedObject[];
  readonly warnings: readonly string[];
}

const LAST_LINES = 8;
const KUSTOMIZATIONS = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

export async function isKustomization(folder: string): Promise<boolean> {
  const found = await Promise.all(
    KUSTOMIZATIONS.map((name) =>
      stat(join(folder, name)).then(
        (info) => info.isFile(),
        () => false,
      ),
    ),
  );
  return found.includes(true);
}

/** `folder` is absolute. The `kustomize` of the user's choice comes before the one that some kubectl carries. */
export async function loadKustomization(folder: string, root: string, run: RunProgram): Promise<Sourced> {
  const path = relative(root, folder) || ".";
  const label = `kustomize ${path}`;
  if (!(await isKustomization(folder))) {
    throw new SlipwayError({
      code: "MANIFEST_NOT_FOUND",
      where: label,
      message: "no kustomization.yaml there",
      hint: "Name the folder of a kustomization in `manifests`, or plain files without `kustomize`.",
      exitCode: 2,
    });
  }
  const commands = [
    ["kustomize", "build", path],
    ["kubectl", "kustomize", path],
  ];
  const text = await firstThere(commands, root, run, {
    label,
    hint: "Install kustomize, or a kubectl (which carries one; Debian: kubernetes-client), and put it on PATH.",
  });
  return { loaded: labelled(parseManifest(text.stdout, label), label), warnings: noticesOf(text, label) };
}

/** `namespace` is that of the release, for a chart that names none. */
export async function loadChart(
  source: HelmSource,
  defaults: { readonly service: string; readonly namespace: string },
  root: string,
  run: RunProgram,
): Promise<Sourced> {
  const { chart, release = defaults.service, namespace = defaults.namespace } = source.helm;
  const label = `helm ${chart}`;
  const values = (source.helm.values ?? []).flatMap((file) => ["--values", file]);
  const set = Object.entries(source.helm.set ?? {}).flatMap(([key, value]) =>
    typeof value === "string" ? ["--set-string", `${key}=${escaped(value)}`] : ["--set", `${key}=${value}`],
  );
  const command = ["helm", "template", release, chart, "--namespace", namespace, "--include-crds"];
  const text = await firstThere([[...command, ...values, ...set]], root, run, {
    label,
    hint: "Install helm 3 or later (https://helm.sh/docs/intro/install) and put it on PATH.",
  });
  const all = chartDocuments(text.stdout, label).map((entry) => inNamespace(entry, source.helm.namespace));
  const hooks = all.filter(({ object }) => hookOf(object) !== undefined);
  const warnings = noticesOf(text, label);
  if (hooks.length > 0) {
    const names = hooks.map(({ object }) => `${object.kind} ${object.metadata.name} (${hookOf(object)})`);
    warnings.push(`${label}: hooks of the chart are left out: ${names.join(", ")}`);
  }
  return { loaded: all.filter((entry) => !hooks.includes(entry)), warnings };
}

/** Helm reads commas as a separator, braces as a list and a backslash as an escape. */
function escaped(value: string): string {
  return value.replaceAll(/[\\,{}]/g, (sign) => `\\${sign}`);
}

async function firstThere(
  commands: readonly (readonly string[])[],
  root: string,
  run: RunProgram,
  about: { readonly label: string; readonly hint: string },
): Promise<ExecResult> {
  for (const command of commands) {
    let result: ExecResult;
    try {
      result = await run(command, root);
    } catch (error) {
      if (error instanceof SlipwayError && error.code === "EXEC_NOT_FOUND") continue;
      throw error;
    }
    if (result.exitCode === 0) return result;
    const lines = result.stderr.trimEnd().split("\n");
    throw new SlipwayError({
      code: "MANIFEST_PROGRAM_FAILED",
      where: about.label,
      message: `exit code ${result.exitCode}\n${lines
        .slice(-LAST_LINES)
        .map((line) => `  | ${line}`)
        .join("\n")}`,
      hint: `To see it alone: cd ${shellLine([root])} && ${shellLine(command)}`,
      exitCode: 2,
    });
  }
  const names = commands.map(([name]) => name).join(" nor ");
  throw new SlipwayError({
    code: "MANIFEST_PROGRAM_MISSING",
    where: about.label,
    message: commands.length === 1 ? `there is no ${names} on PATH` : `there is neither ${names} on PATH`,
    hint: about.hint,
    exitCode: 3,
  });
}

/** What a program that succeeded says beside its output: deprecations, mostly. */
function noticesOf({ stderr }: ExecResult, label: string): string[] {
  return stderr
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(0, LAST_LINES)
    .map((line) => `${label}: ${line.trim()}`);
}

function labelled(entries: readonly LoadedObject[], label: string): readonly LoadedObject[] {
  return entries.map(({ object }) => ({
    object,
    locate: (path = []) => {
      const field = path.length === 0 ? "" : `/${path.join(".")}`;
      return `${label}: ${object.kind} ${object.metadata.name}${field}`;
    },
  }));
}

/** Helm says above each document which template it comes from; a separator inside a block text is indented. */
function chartDocuments(text: string, label: string): readonly LoadedObject[] {
  return text.split(/^---[ \t]*$/m).flatMap((document) => {
    const template = /^# Source: (.+)$/m.exec(document)?.[1];
    const source = template === undefined ? label : `${label} (${template})`;
    return labelled(parseManifest(document, source), source);
  });
}

function hookOf(object: AnyObject): string | undefined {
  return object.metadata.annotations?.["helm.sh/hook"];
}

function inNamespace(entry: LoadedObject, namespace: string | undefined): LoadedObject {
  const { object } = entry;
  if (namespace === undefined || object.metadata.namespace !== undefined) return entry;
  return { ...entry, object: { ...object, metadata: { ...object.metadata, namespace } } };
}
