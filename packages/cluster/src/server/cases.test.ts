import { describe } from "node:test";
import { clientCases } from "@slipway/kube/client-cases";
import { openTestServer } from "./testing.ts";

describe("the http client before our own API server", () => clientCases(() => openTestServer()));
