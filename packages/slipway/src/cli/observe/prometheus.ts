import { type CommandDeclaration, textOption } from "../command.ts";

const FORMATS = ["rules", "scrape", "operator"] as const;
type Format = (typeof FORMATS)[number];

export const command: CommandDeclaration = {
  summary: "write rules and scrape configuration for Prometheus, from what observe promises",
  description:
    "rules: recording and alerting rules with the numbers of observe.slo and observe.alerts. scrape: a configuration of\nPrometheus for the local world, or for a Prometheus inside a cluster. operator: ServiceMonitor, PodMonitor and\nPrometheusRule. With --out all of them, or the one of --format, become files; without, one is printed.",
  options: [
    { flags: "--out <folder>", description: "write files into this folder" },
    { flags: "--format <format>", description: "rules (default when printed), scrape or operator" },
  ],
  examples: [
    "slipway observe prometheus --out monitoring/",
    "slipway observe prometheus --env production --format operator | kubectl apply -f -",
  ],
  async run(context, input) {
    const { readTextIfExists, SlipwayError, writeAtomic } = await import("@slipway/base");
    const { mkdir } = await import("node:fs/promises");
    const { join, resolve } = await import("node:path");
    const { openProject } = await import("../project.ts");
    const { operatorFile, RULES_FILE, rulesFile, scrapeFile } = await import(
      "../../observe/prometheus/files.ts"
    );
    const { ruleGroups } = await import("../../observe/prometheus/rules.ts");
    const { metricsPaths } = await import("../../observe/prometheus/serve.ts");

    const format = textOption(input, "format");
    if (format !== undefined && !isFormat(format)) {
      throw new SlipwayError({
        code: "USAGE_FORMAT",
        where: `--format ${format}`,
        message: "is none of the formats",
        hint: `Say ${FORMATS.join(", ")}.`,
        exitCode: 2,
      });
    }
    const { config, paths } = await openProject(context, input);
    const { observe } = config;
    if (observe === undefined) {
      throw new SlipwayError({
        code: "OBSERVE_OFF",
        where: "observe",
        message: "is false: nothing is watched, so there is nothing for Prometheus",
        hint: "Take `observe: false` out of the configuration.",
        exitCode: 2,
      });
    }
    const groups = ruleGroups(observe);
    const cluster = { service: config.name, namespace: config.namespace };
    const scrape = async (): Promise<string> => {
      if (!config.isLocal) return scrapeFile({ kind: "cluster" }, cluster);
      const addresses: Record<string, string> = {};
      for (const name of ["world", "observer", "serve"]) {
        const port = (await readTextIfExists(metricsPaths(paths.metrics, name).port))?.trim();
        if (port !== undefined && port !== "") addresses[name] = `127.0.0.1:${port}`;
      }
      if (Object.keys(addresses).length === 0) {
        throw new SlipwayError({
          code: "METRICS_NOT_SERVED",
          where: ".slipway/metrics",
          message: "the local world has not served figures yet, so its ports are not known",
          hint: "Start it once: slipway local up.",
          exitCode: 3,
        });
      }
      return scrapeFile(
        { kind: "local", addresses, tokenFile: metricsPaths(paths.metrics, "").token },
        cluster,
      );
    };
    const texts: Readonly<Record<Format, { readonly file: string; readonly text: () => Promise<string> }>> = {
      rules: { file: RULES_FILE, text: async () => rulesFile(groups) },
      scrape: { file: "prometheus.yml", text: scrape },
      operator: { file: "slipway-operator.yml", text: async () => operatorFile(groups, cluster) },
    };
    const out = textOption(input, "out");
    if (out === undefined) {
      context.write(await texts[format ?? "rules"].text());
      return 0;
    }
    const folder = resolve(context.cwd, out);
    await mkdir(folder, { recursive: true });
    for (const one of format === undefined ? FORMATS : [format]) {
      const path = join(folder, texts[one].file);
      await writeAtomic(path, await texts[one].text());
      context.write(`${path}\n`);
    }
    return 0;
  },
};

function isFormat(text: string): text is Format {
  return (FORMATS as readonly string[]).includes(text);
}
