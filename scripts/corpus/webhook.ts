/** An admission webhook whose answer each case chooses, for the pods (or Deployments) of its own namespace. */

import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isReason, type KubeClient } from "@slipway/kube";
import { selfSigned } from "./registry.ts";

const PORT = 5444;
/** Nothing listens here. */
const CLOSED_PORT = 5449;
const TYPE = { apiVersion: "admissionregistration.k8s.io/v1", kind: "ValidatingWebhookConfiguration" };

export type WebhookAnswer = "deny" | "allow" | "hang" | "refuse";

export interface CaseWebhook {
  set(
    client: KubeClient,
    namespace: string,
    answer: WebhookAnswer,
    rules: "pods" | "deployments",
  ): Promise<void>;
  remove(client: KubeClient, namespace: string): Promise<void>;
  close(): Promise<void>;
}

export async function startCaseWebhook(): Promise<CaseWebhook> {
  const directory = await mkdtemp(join(tmpdir(), "slipway-corpus-webhook-"));
  const identity = await selfSigned(directory, "127.0.0.1");
  await rm(directory, { recursive: true });
  const server = createServer(identity, (incoming, response) => {
    const answer = incoming.url?.split("/")[1];
    let body = "";
    incoming.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    incoming.on("end", () => {
      if (answer === "hang") return;
      const review = JSON.parse(body) as {
        readonly apiVersion: string;
        readonly request: { readonly uid: string };
      };
      const denied = {
        allowed: false,
        status: { code: 403, message: "the label team is required on every pod" },
      };
      const verdict = answer === "deny" ? denied : { allowed: true };
      response.writeHead(200, { "Content-Type": "application/json" });
      response.end(
        JSON.stringify({
          apiVersion: review.apiVersion,
          kind: "AdmissionReview",
          response: { uid: review.request.uid, ...verdict },
        }),
      );
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(PORT, "127.0.0.1", resolve);
  });
  return {
    set: async (client, namespace, answer, rules) => {
      const port = answer === "refuse" ? CLOSED_PORT : PORT;
      await client.apply(
        {
          ...TYPE,
          metadata: { name: namespace },
          webhooks: [
            {
              name: "policy.example.com",
              admissionReviewVersions: ["v1"],
              sideEffects: "None",
              failurePolicy: "Fail",
              timeoutSeconds: 5,
              namespaceSelector: { matchLabels: { "corpus-namespace": namespace } },
              clientConfig: {
                url: `https://127.0.0.1:${port}/${answer}/${namespace}`,
                caBundle: Buffer.from(identity.cert).toString("base64"),
              },
              rules: [
                rules === "pods"
                  ? { apiGroups: [""], apiVersions: ["v1"], resources: ["pods"], operations: ["CREATE"] }
                  : {
                      apiGroups: ["apps"],
                      apiVersions: ["v1"],
                      resources: ["deployments"],
                      operations: ["CREATE", "UPDATE"],
                    },
              ],
            },
          ],
        } as never,
        { fieldManager: "corpus", force: true },
      );
    },
    remove: (client, namespace) =>
      client.delete({ ...TYPE, name: namespace }).catch((error: unknown) => {
        if (!isReason(error, "NotFound")) throw error;
      }),
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
