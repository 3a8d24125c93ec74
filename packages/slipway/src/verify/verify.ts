/**
 * What spec files import: `import { describeImage, describeService } from "slipway/verify"`.
 *
 * @example
 * describeImage("web", (t) => {
 *   t.image.runsAsNonRoot().exposes(8080).noSecretInEnvOrHistory();
 *   t.file("/app/server.js").isFile().mode("0644");
 *   t.files("{.git,.npmrc,id_rsa*}").none();
 * });
 * describeService("web", (t) => t.http("/").status(200).body(/shop/));
 */
import type { Check } from "./check.ts";
import { currentCollector, specError } from "./collect.ts";
import { FileExpectations, FilesExpectations, UserExpectations } from "./file-checks.ts";
import { ImageExpectations } from "./image-checks.ts";
import { HttpExpectations, type HttpOptions, type ServiceOptions } from "./service-checks.ts";

export interface ImageTarget {
  readonly image: ImageExpectations;
  file(path: string): FileExpectations;
  files(glob: string): FilesExpectations;
  user(name: string): UserExpectations;
}

export interface ServiceTarget {
  http(path: string, options?: HttpOptions): HttpExpectations;
}

export type { HttpOptions, ServiceOptions } from "./service-checks.ts";

/** `name` is a key under `images` in the config. */
export function describeImage(name: string, body: (t: ImageTarget) => unknown): void {
  const { checks } = currentCollector();
  body(imageTarget(name, (check) => checks.push(check)));
}

/** `name` is a Service in the release's namespace. */
export function describeService(name: string, body: (t: ServiceTarget) => unknown): void;
export function describeService(
  name: string,
  options: ServiceOptions,
  body: (t: ServiceTarget) => unknown,
): void;
export function describeService(
  name: string,
  first: ServiceOptions | ((t: ServiceTarget) => unknown),
  second?: (t: ServiceTarget) => unknown,
): void {
  const { checks } = currentCollector();
  const options = typeof first === "function" ? {} : first;
  const body = typeof first === "function" ? first : second;
  if (body === undefined) throw specError("describeService needs a function that says what to expect");
  body({
    http: (path, http = {}) => {
      if (!path.startsWith("/")) throw specError(`a path begins with a slash, got "${path}"`);
      return new HttpExpectations((check) => checks.push(check), {
        service: name,
        cluster: options.cluster,
        port: options.port,
        method: (http.method ?? "GET").toUpperCase(),
        path,
        headers: http.headers ?? {},
        deadlineMs: http.deadlineMs ?? 10_000,
      });
    },
  });
}

export function imageTarget(name: string, push: (check: Check) => void): ImageTarget {
  const add: ConstructorParameters<typeof ImageExpectations>[0] = (check) =>
    push({ ...check, kind: "image", image: name, place: check.place ?? "built-in" });
  return {
    image: new ImageExpectations(add),
    file: (path) => new FileExpectations(add, path),
    files: (glob) => new FilesExpectations(add, glob),
    user: (user) => new UserExpectations(add, user),
  };
}
