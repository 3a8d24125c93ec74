/**
 * A kubeconfig with one context, which is named like the cluster. It is written as JSON inside YAML (JSON is
 * YAML), so that no character of a name or token needs a second set of quoting rules.
 */
export interface KubeconfigFacts {
  readonly name: string;
  /** https://127.0.0.1:PORT */
  readonly url: string;
  /** PEM of the certificate authority. */
  readonly ca: string;
  readonly token: string;
  readonly namespace?: string;
}

export function kubeconfig({ name, url, ca, token, namespace = "default" }: KubeconfigFacts): string {
  const quote = (text: string): string => JSON.stringify(text);
  return [
    "apiVersion: v1",
    "kind: Config",
    `current-context: ${quote(name)}`,
    "clusters:",
    `- name: ${quote(name)}`,
    "  cluster:",
    `    server: ${quote(url)}`,
    `    certificate-authority-data: ${Buffer.from(ca).toString("base64")}`,
    "users:",
    `- name: ${quote(name)}`,
    "  user:",
    `    token: ${quote(token)}`,
    "contexts:",
    `- name: ${quote(name)}`,
    "  context:",
    `    cluster: ${quote(name)}`,
    `    user: ${quote(name)}`,
    `    namespace: ${quote(namespace)}`,
    "",
  ].join("\n");
}
