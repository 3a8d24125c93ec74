/**
 * Which proxy leads to a cluster, by the rules of Go's net/http that kubectl follows: `proxy-url` of the kubeconfig
 * before anything else; else HTTPS_PROXY (HTTP_PROXY for http) unless NO_PROXY names the host; the own machine is
 * always reached directly. Pure.
 */
import { BlockList, isIP } from "node:net";

export function proxyFor(
  server: string,
  configured: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (configured !== undefined && configured !== "") return withScheme(configured);
  const url = new URL(server);
  const name = url.protocol === "http:" ? "HTTP_PROXY" : "HTTPS_PROXY";
  const proxy = settingOf(env, name);
  if (proxy === undefined || isDirect(url, settingOf(env, "NO_PROXY") ?? "")) return undefined;
  return withScheme(proxy);
}

/** Capital letters first. An empty value counts as none. */
function settingOf(env: Readonly<Record<string, string | undefined>>, name: string): string | undefined {
  return env[name] || env[name.toLowerCase()] || undefined;
}

function withScheme(proxy: string): string {
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}

function isDirect(url: URL, noProxy: string): boolean {
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  const port = url.port || (url.protocol === "http:" ? "80" : "443");
  if (host === "localhost" || isWithin(host, "127.0.0.0/8") || host === "::1") return true;
  return noProxy
    .split(",")
    .map((rule) => rule.trim().toLowerCase())
    .some((rule) => rule !== "" && matches(rule, host, port));
}

function matches(rule: string, host: string, port: string): boolean {
  if (rule === "*") return true;
  if (rule.includes("/")) return isWithin(host, rule);
  if (isIP(rule) !== 0) return rule === host;
  const [name = "", wantedPort] = rule.replace(/^\*(?=\.)/, "").split(":");
  if (wantedPort !== undefined && wantedPort !== port) return false;
  // `.example.com` means the names below it, `example.com` itself too.
  return name.startsWith(".") ? host.endsWith(name) : host === name || host.endsWith(`.${name}`);
}

function isWithin(host: string, range: string): boolean {
  const [network = "", bits = ""] = range.split("/");
  const family = (address: string): "ipv4" | "ipv6" => (isIP(address) === 6 ? "ipv6" : "ipv4");
  if (isIP(host) === 0 || isIP(network) === 0 || !/^\d+$/.test(bits)) return false;
  if (Number(bits) > (family(network) === "ipv6" ? 128 : 32)) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(bits), family(network));
  return list.check(host, family(host));
}
