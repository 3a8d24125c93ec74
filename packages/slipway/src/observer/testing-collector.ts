/** For tests: a collector that answers over TLS, and clusters whose API server forwards to it. */
import { once } from "node:events";
import { createServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { systemClock } from "@slipway/base";
import type { KubeClient, Pod, Secret } from "@slipway/kube";
import type { Answers } from "./answers.ts";
import { createAnswerer } from "./collector/answerer.ts";
import { type CollectorSecrets, newSecrets } from "./install/secrets.ts";

export interface TestCollector {
  readonly secrets: CollectorSecrets;
  /** Without `secrets`, no collector is installed there. */
  cluster(changes?: { readonly secrets?: Record<string, string>; readonly isReady?: boolean }): KubeClient;
  close(): void;
}

export async function startTestCollector(answers: Answers): Promise<TestCollector> {
  const secrets = await newSecrets(systemClock.now());
  const answer = createAnswerer(answers, secrets["read-token"]);
  const server = createServer({ key: secrets["tls.key"], cert: secrets["tls.crt"] }, (request, response) => {
    if (!answer(request, response)) response.writeHead(404).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    secrets,
    cluster(changes = {}) {
      const { isReady = true } = changes;
      const data = Object.fromEntries(
        Object.entries(changes.secrets ?? secrets).map(([key, text]) => [
          key,
          Buffer.from(text).toString("base64"),
        ]),
      );
      return {
        name: "tokyo",
        get: async () => ({ data }) as unknown as Secret,
        list: async () => ({
          items: [
            {
              metadata: { name: "collector-1" },
              status: { conditions: [{ type: "Ready", status: isReady ? "True" : "False" }] },
            } as unknown as Pod,
          ],
        }),
        async portForward() {
          const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
          await once(socket, "connect");
          return socket;
        },
      } as unknown as KubeClient;
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
