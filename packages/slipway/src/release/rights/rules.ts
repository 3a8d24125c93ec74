/** Rules without repetitions, in an order that is always the same. */
export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

const VERBS = ["get", "list", "watch", "create", "update", "patch", "delete"];

/** What one resource may be done to is said once; resources with the same group, names and verbs share a rule. */
export function mergeRules(rules: readonly Rule[]): readonly Rule[] {
  const verbs = new Map<string, { group: string; resource: string; names: string; verbs: Set<string> }>();
  for (const rule of rules) {
    const names = JSON.stringify(rule.resourceNames ?? []);
    for (const group of rule.apiGroups) {
      for (const resource of rule.resources) {
        const key = `${group} ${resource} ${names}`;
        const known = verbs.get(key) ?? { group, resource, names, verbs: new Set() };
        for (const verb of rule.verbs) known.verbs.add(verb);
        verbs.set(key, known);
      }
    }
  }
  const grouped = new Map<string, { group: string; names: string; resources: string[]; verbs: string[] }>();
  for (const { group, resource, names, verbs: allowed } of verbs.values()) {
    const sorted = VERBS.filter((verb) => allowed.has(verb));
    const key = `${group} ${names} ${sorted}`;
    const known = grouped.get(key) ?? { group, names, resources: [], verbs: sorted };
    known.resources.push(resource);
    grouped.set(key, known);
  }
  return [...grouped.values()]
    .map(({ group, names, resources, verbs: allowed }): Rule => {
      const resourceNames = JSON.parse(names) as string[];
      const limited = resourceNames.length === 0 ? {} : { resourceNames };
      return { apiGroups: [group], resources: resources.sort(), ...limited, verbs: allowed };
    })
    .sort((a, b) => order(a).localeCompare(order(b), "en"));
}

function order({ apiGroups, resources, resourceNames = [] }: Rule): string {
  return `${apiGroups} ${resources} ${resourceNames}`;
}
