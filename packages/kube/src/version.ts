/**
 * The Kubernetes that all of this behaves like: what `/version`, the memory client and every node report. Clients
 * branch on it: newer features are served, older API versions are not.
 */
export const KUBERNETES_VERSION = "v1.33.1";
