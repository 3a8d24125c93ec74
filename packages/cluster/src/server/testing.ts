/** A server over a fresh store, for tests: no controllers run, pods are played by the test. */
import { type Clock, seededRandom, systemClock } from "@slipway/base";
import {
  type Api,
  bootstrapCluster,
  createApi,
  createHttpClient,
  createStore,
  type KubeClient,
} from "@slipway/kube";
import { createAccountTokens } from "./account-tokens.ts";
import type { PodStreams } from "./pods.ts";
import { type ApiServer, createApiServer } from "./server.ts";

export interface TestServer {
  readonly api: Api;
  readonly server: ApiServer;
  readonly client: KubeClient;
  readonly token: string;
  close(): Promise<void>;
}

export async function openTestServer(
  options: { readonly pods?: Partial<PodStreams>; readonly clock?: Clock; readonly replay?: number } = {},
): Promise<TestServer> {
  const clock = options.clock ?? systemClock;
  const store = createStore(options.replay === undefined ? {} : { replay: options.replay });
  const api = createApi({ store, now: () => clock.now(), random: seededRandom(1) });
  bootstrapCluster(api);
  const token = "test-token";
  const refuse = () => {
    throw new Error("this test has no running pods");
  };
  const pods: PodStreams = { logs: refuse, exec: refuse, dial: refuse, ...options.pods };
  const accounts = createAccountTokens(token);
  const server = await createApiServer({ api, name: "test", port: 0, token, accounts, clock, pods });
  const client = createHttpClient({ name: "test", url: server.url, token, ca: server.ca });
  return {
    api,
    server,
    client,
    token,
    close: async () => {
      await client.close();
      await server.close();
    },
  };
}
