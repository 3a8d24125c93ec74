import { type CommandDeclaration, isSet, textOption } from "./command.ts";
import type { Project } from "./project.ts";

export const command: CommandDeclaration = {
  summary: "print the least rights that a deploy, a rollback or a look needs",
  description:
    "Prints Roles and ClusterRoles for what the manifests of this project apply, and bindings for whoever is named. Apply them\nas an administrator. Records of releases are Secrets: who may read them may read every Secret of that namespace.",
  arguments: [{ flags: "[purpose]", description: "deploy (default), rollback or read" }],
  options: [
    { flags: "--user <name>", description: "bind them to this user (several: a,b)" },
    { flags: "--group <name>", description: "bind them to this group (several: a,b)" },
    {
      flags: "--service-account <namespace/name>",
      description: "bind them to this ServiceAccount (several: a/b,c/d)",
    },
  ],
  examples: [
    "slipway rights --env production --service-account ci/deployer | kubectl apply -f -",
    "slipway rights read --env production --group developers",
  ],
  onlyPrints: true,
  async run(context, input) {
    const { SlipwayError } = await import("@slipway/base");
    const { openProject } = await import("./project.ts");
    const { renderUnbuilt } = await import("./deploy-step.ts");
    const { rightsFor } = await import("../release/rights/rights.ts");
    const { ratioGateOf } = await import("../config/release.ts");
    const { stringify } = await import("./yaml.ts");
    const usage = (where: string, message: string, hint: string): Error =>
      new SlipwayError({ code: "USAGE_RIGHTS", where, message, hint, exitCode: 2 });
    const purpose = input.arguments[0] ?? "deploy";
    if (purpose !== "deploy" && purpose !== "rollback" && purpose !== "read") {
      throw usage(`rights ${purpose}`, "is not a purpose", "Say deploy, rollback or read.");
    }
    const named = (option: string): readonly string[] =>
      (textOption(input, option) ?? "").split(",").flatMap((name) => name.trim() || []);
    const accounts = named("serviceAccount").map((full) => {
      const [namespace, name, more] = full.split("/");
      if (!namespace || !name || more !== undefined) {
        throw usage(`--service-account ${full}`, "should be NAMESPACE/NAME", "For example ci/deployer.");
      }
      return { kind: "ServiceAccount" as const, namespace, name };
    });
    const subjects = [
      ...named("user").map((name) => ({ kind: "User" as const, name })),
      ...named("group").map((name) => ({ kind: "Group" as const, name })),
      ...accounts,
    ];
    const project = await openProject(context, input);
    const rendered = await renderUnbuilt(project);
    const { name: service, namespace, isLocal, observe, release } = project.config;
    const asksCollectors = observe !== undefined && ratioGateOf(release) !== undefined;
    const forwardsPorts = !isLocal && (asksCollectors || (await checksServices(project)));
    const { manifests, unknown } = rightsFor({
      ...{ service, namespace, rendered, purpose, subjects, forwardsPorts },
    });
    if (isSet(input, "json"))
      context.write(`${JSON.stringify({ apiVersion: "v1", kind: "List", items: manifests })}\n`);
    else context.write(manifests.map((manifest) => stringify(manifest)).join("---\n"));
    for (const { apiVersion, kind } of unknown) {
      context.writeError(
        `warning: ${apiVersion} ${kind}: not one of Kubernetes' own kinds; add its rights (get, create, patch, delete) by hand\n`,
      );
    }
    if (subjects.length === 0) {
      context.writeError(
        "note: nobody is named, so nothing is bound; see --service-account, --user and --group\n",
      );
    }
    return 0;
  },
};

/** Whether spec files have checks of deployed services. */
async function checksServices({ config }: Project): Promise<boolean> {
  if (config.verify.length === 0) return false;
  const [{ collectChecks }, { bindSlipwayImports }] = await Promise.all([
    import("../verify/spec/load.ts"),
    import("../config/load.ts"),
  ]);
  bindSlipwayImports();
  const checks = await collectChecks({ files: config.verify, images: [] });
  return checks.some(({ target }) => target.kind === "service");
}
