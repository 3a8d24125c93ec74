/** From what was found to a `slipway.config.ts` that works, with a note on everything that was guessed. Pure. */
import type { FoundDockerfile, FoundObject, Survey } from "./survey.ts";

export interface Starter {
  readonly text: string;
  readonly notes: readonly string[];
}

export function renderStarter(survey: Survey): Starter {
  const notes: string[] = [];
  const images = matchImages(survey, notes);
  const folders = manifestFolders(survey.objects);
  const route = findRoute(survey.objects);
  const bases = nodeBases(survey.dockerfiles);
  const quoted = (text: string): string => JSON.stringify(text);
  const imports = ["defineConfig", "local", ...(route === undefined ? [] : ["service"])].sort();
  const namespaces = new Set(survey.objects.flatMap(({ namespace }) => namespace ?? []));
  const lines = [
    `import { ${imports.join(", ")} } from "slipway";`,
    "",
    "export default defineConfig({",
    `  name: ${quoted(survey.name)},`,
  ];
  if (images.length > 0) {
    lines.push("  images: {");
    for (const { image, value } of images) lines.push(`    ${imageKey(image)}: ${value},`);
    lines.push("  },");
  }
  lines.push(
    `  manifests: [${folders.map(quoted).join(", ")}],`,
    "  environments: {",
    "    local: {",
    "      clusters: { tokyo: local(), osaka: local() },",
  );
  if (namespaces.size === 1 && [...namespaces][0] !== "default")
    lines.push(`      namespace: ${quoted([...namespaces][0] as string)},`);
  if (bases.length > 0) {
    lines.push(`      bases: { ${bases.map((base) => `${quoted(base)}: "slipway/node"`).join(", ")} },`);
    notes.push(
      `local: FROM ${bases.join(", ")} is replaced by slipway/node, this machine's own Node, so that no registry is needed`,
    );
  }
  lines.push(
    '      release: { bake: "2s" },',
    "    },",
    "  },",
    '  release: { bake: "60s", onFailure: "rollback-all" },',
  );
  if (route !== undefined) {
    lines.push("  edge: {", `    routes: { "/*": service(${quoted(route.name)}, ${route.port}) },`, "  },");
    notes.push(`edge: every path goes to Service ${route.name}, port ${route.port}`);
    const others = survey.objects.filter(({ kind, name }) => kind === "Service" && name !== route.name);
    if (others.length > 0) {
      notes.push(
        `edge: no route leads to ${others.map(({ name }) => name).join(", ")}; add one for what people reach`,
      );
    }
  } else
    notes.push(
      "edge: no Service with a port was found, so nothing is routed; add an edge section when there is one",
    );
  lines.push("});", "");
  return { text: lines.join("\n"), notes };
}

interface MatchedImage {
  readonly image: string;
  /** As it is written: `{ context: "web" }`. */
  readonly value: string;
}

function pathOf({ context, dockerfile }: FoundDockerfile): string {
  return context === "." ? dockerfile : `${context}/${dockerfile}`;
}

const imageKey = (image: string): string => (/^[a-z0-9]+$/i.test(image) ? image : JSON.stringify(image));

function contextValue(found: FoundDockerfile): string {
  const file = found.dockerfile === "Dockerfile" ? "" : `, dockerfile: ${JSON.stringify(found.dockerfile)}`;
  return `{ context: ${JSON.stringify(found.context)}${file} }`;
}

/** Which Dockerfile makes which image of the manifests: by the folder's name, or because there is only one of each. */
function matchImages(survey: Survey, notes: string[]): MatchedImage[] {
  const written = new Set(survey.objects.flatMap(containerImages));
  const named = [...written].map(repositoryOf);
  // Neither a registry nor a tag: a key of the configuration, which no registry can answer for.
  const isKey = (repository: string): boolean => written.has(repository) && !repository.includes("/");
  const lastPart = (repository: string): string => repository.split("/").at(-1) as string;
  const free = new Set(survey.dockerfiles);
  const matched: MatchedImage[] = [];
  const take = (image: string, found: FoundDockerfile): void => {
    free.delete(found);
    matched.push({ image, value: contextValue(found) });
    if (found.hasRun) {
      notes.push(
        `images: ${pathOf(found)} has RUN, which needs its base from a registry; an engine builds it where one answers, else the sandbox`,
      );
      const [base] = found.bases.filter(isNode);
      if (base !== undefined) {
        notes.push(
          `images: where that registry is not reached, bases: { ${JSON.stringify(base)}: "slipway/node" } in environments.local takes this machine's Node, without npm`,
        );
      }
    }
  };
  const left: string[] = [];
  for (const repository of new Set(named)) {
    const found = [...free].find(({ context }) => context.split("/").at(-1) === lastPart(repository));
    if (found === undefined) left.push(repository);
    else take(repository, found);
  }
  const [dockerfile] = free;
  if (dockerfile !== undefined && free.size === 1 && left.length === 1)
    take(left.pop() as string, dockerfile);
  for (const repository of left) {
    const among = (folders: readonly string[]): string | undefined => {
      const own = folders.find((folder) => folder.split("/").at(-1) === lastPart(repository));
      const only = left.length === 1 && folders.length === 1 ? folders[0] : undefined;
      return isKey(repository) ? (own ?? only) : undefined;
    };
    const folder = among(survey.nodeFolders);
    if (folder === undefined) {
      const unlocked = among(survey.unlockedFolders);
      notes.push(
        unlocked !== undefined
          ? `images: ${repository} has no Dockerfile here, and needs none with a package-lock.json in ${unlocked}: npm install --package-lock-only makes one; then slipway init --force`
          : isKey(repository)
            ? `images: ${repository} has no Dockerfile here and names no registry; say under images what it is made from before you ship`
            : `images: ${repository} has no Dockerfile here; it must come from a registry, with a fixed tag`,
      );
      continue;
    }
    matched.push({ image: repository, value: `{ node: ${JSON.stringify(folder)} }` });
    const file = folder === "." ? "package.json" : `${folder}/package.json`;
    notes.push(
      `images: ${repository} is made from ${file} and its lockfile, without a Dockerfile; its base is this machine's Node, another one is base: "node:24-slim"`,
    );
  }
  for (const { context } of free) notes.push(`images: no manifest names an image for ${context}/Dockerfile`);
  return matched;
}

function containerImages({ value }: FoundObject): string[] {
  const found: string[] = [];
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) return node.forEach(visit);
    if (typeof node !== "object" || node === null) return;
    for (const [key, inner] of Object.entries(node)) {
      if ((key === "containers" || key === "initContainers") && Array.isArray(inner)) {
        for (const container of inner as { image?: unknown }[])
          if (typeof container?.image === "string") found.push(container.image);
      } else visit(inner);
    }
  };
  visit(value["spec"]);
  return found;
}

function repositoryOf(image: string): string {
  const [named = ""] = image.split("@");
  const colon = named.lastIndexOf(":");
  return colon > named.lastIndexOf("/") ? named.slice(0, colon) : named;
}

/** Folders that hold manifests; files that lie in the root are named one by one. */
function manifestFolders(objects: readonly FoundObject[]): string[] {
  const places = objects.map(({ file }) =>
    file.includes("/") ? `${file.slice(0, file.lastIndexOf("/"))}/` : file,
  );
  return [...new Set(places)].sort();
}

/** The Service in front: one that asks for a load balancer, else one on port 80, else the first with a port. */
function findRoute(
  objects: readonly FoundObject[],
): { readonly name: string; readonly port: number } | undefined {
  const services = objects.flatMap(({ kind, name, value }) => {
    if (kind !== "Service") return [];
    const spec = value["spec"] as
      | { type?: string; clusterIP?: string; ports?: { port?: number }[] }
      | undefined;
    const port = spec?.ports?.find((candidate) => typeof candidate.port === "number")?.port;
    return port === undefined || spec?.clusterIP === "None" ? [] : [{ name, port, type: spec?.type }];
  });
  return (
    services.find(({ type }) => type === "LoadBalancer") ??
    services.find(({ port }) => port === 80) ??
    services[0]
  );
}

/** Official Node images: the local world has a base of its own that needs no registry. */
const isNode = (base: string): boolean => /^(?:docker\.io\/)?(?:library\/)?node(?::[\w.-]+)?$/.test(base);

function nodeBases(dockerfiles: readonly FoundDockerfile[]): string[] {
  return [...new Set(dockerfiles.flatMap(({ bases, hasRun }) => (hasRun ? [] : bases.filter(isNode))))];
}
