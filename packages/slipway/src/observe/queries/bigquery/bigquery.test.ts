/** The real library against an HTTP server that speaks BigQuery's REST as documented; what it was asked is looked at. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { afterEach, beforeEach, test } from "node:test";
import { BigQuery } from "@google-cloud/bigquery";
import { SlipwayError, systemClock } from "@slipway/base";
import { OAuth2Client } from "google-auth-library";
import { createBigQueryPlace } from "./bigquery.ts";

interface Asked {
  readonly dryRun: boolean;
  readonly maximumBytesBilled: string | undefined;
  readonly query: string;
  readonly parameters: readonly { name: string; type: string; value: string }[];
}

interface JobBody {
  readonly configuration: {
    readonly dryRun?: boolean;
    readonly query: {
      readonly query: string;
      readonly maximumBytesBilled?: string;
      readonly queryParameters?: readonly {
        name: string;
        parameterType: { type: string };
        parameterValue: { value: string };
      }[];
    };
  };
}

const sql =
  "SELECT ts, service, COUNT(*) AS n FROM requests WHERE ts >= @from AND ts < @to GROUP BY ts, service";
const parameters = { from: "2026-01-31T00:00:00.000Z", to: "2026-01-31T01:00:00.000Z" };
const config = { project: "shop", dataset: "logs", location: "EU", maxBytesBilled: 1_000_000_000 };

let server: Server;
let asked: Asked[];
let bytes: string;
let refusal: { status: number; reason: string; message: string } | undefined;

beforeEach(async () => {
  asked = [];
  bytes = "5000000";
  refusal = undefined;
  server = createServer(async (request, response) => {
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    if (refusal !== undefined) {
      const { status, reason, message } = refusal;
      return answer(status, { error: { code: status, message, errors: [{ reason, message }] } });
    }
    if (request.method === "POST") return answer(200, await jobFor(request));
    answer(200, {
      jobComplete: true,
      totalRows: "3",
      schema: {
        fields: [
          { name: "ts", type: "TIMESTAMP" },
          { name: "service", type: "STRING" },
          { name: "n", type: "INTEGER" },
        ],
      },
      rows: [
        { f: [{ v: "1769817600000000" }, { v: "web" }, { v: "7" }] },
        { f: [{ v: "1769817660000000" }, { v: null }, { v: "8" }] },
        { f: [{ v: "1769817720000000" }, { v: "web" }, { v: "9" }] },
      ],
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});

afterEach(() => void server.close());

async function jobFor(request: IncomingMessage): Promise<unknown> {
  const { configuration } = (await json(request)) as JobBody;
  const { query, maximumBytesBilled, queryParameters = [] } = configuration.query;
  asked.push({
    dryRun: configuration.dryRun === true,
    maximumBytesBilled,
    query,
    parameters: queryParameters.map(({ name, parameterType, parameterValue }) => ({
      name,
      type: parameterType.type,
      value: parameterValue.value,
    })),
  });
  return {
    jobReference: { projectId: "shop", jobId: `job-${asked.length}`, location: "EU" },
    status: { state: "DONE" },
    statistics: { totalBytesProcessed: bytes },
  };
}

/** Where nobody listens: a port that the system gives to nobody who asks for any. */
const NOBODY = 2;

function place(
  { port }: Pick<AddressInfo, "port"> = server.address() as AddressInfo,
): ReturnType<typeof createBigQueryPlace> {
  const authClient = new OAuth2Client();
  authClient.setCredentials({ access_token: "a", expiry_date: Date.now() + 3_600_000 });
  const client = new BigQuery({
    projectId: "shop",
    apiEndpoint: `http://127.0.0.1:${port}`,
    authClient,
    autoRetry: false,
  });
  return createBigQueryPlace(config, client, systemClock);
}

test("a dry run first, then with the limit; times are timestamps; the view bounds the partition", async () => {
  const answer = await place().query(sql, parameters, { maxRows: 2 });
  assert.deepEqual(
    asked.map(({ dryRun, maximumBytesBilled }) => [dryRun, maximumBytesBilled]),
    [
      [true, undefined],
      [false, "1000000000"],
    ],
  );
  assert.match(
    asked[1]?.query ?? "",
    /FROM `shop\.logs\.stdout`\s+WHERE timestamp >= @from AND timestamp < @to/,
  );
  assert.deepEqual(
    asked[1]?.parameters.map(({ name, type }) => [name, type]),
    [
      ["from", "TIMESTAMP"],
      ["to", "TIMESTAMP"],
    ],
  );
  assert.deepEqual(answer.columns, [
    { name: "ts", type: "time" },
    { name: "service", type: "text" },
    { name: "n", type: "number" },
  ]);
  assert.deepEqual(answer.rows, [
    ["2026-01-31T00:00:00.000Z", "web", 7],
    ["2026-01-31T00:01:00.000Z", null, 8],
  ]);
  assert.equal(answer.isTruncated, true);
});

test("what would read too much never runs", async () => {
  bytes = "2000000000";
  await assert.rejects(
    place().query(sql, parameters, {}),
    (error) => error instanceof SlipwayError && error.code === "QUERY_COST" && /2\.00 GB/.test(error.message),
  );
  assert.deepEqual(
    asked.map(({ dryRun }) => dryRun),
    [true],
  );
});

test("the cost alone", async () => {
  assert.equal(await place().cost(sql, parameters), 5_000_000);
});

test("a query without a bound in time is refused before anybody is asked", async () => {
  await assert.rejects(
    place().query("SELECT COUNT(*) FROM requests", {}, {}),
    (error) => error instanceof SlipwayError && error.code === "QUERY_UNBOUNDED",
  );
  assert.deepEqual(asked, []);
});

const refusals = [
  [{ status: 403, reason: "accessDenied", message: "Access Denied" }, "BIGQUERY_AUTH", 3],
  [{ status: 400, reason: "invalidQuery", message: "Syntax error" }, "QUERY_FAILED", 1],
  [{ status: 400, reason: "bytesBilledLimitExceeded", message: "over" }, "QUERY_COST", 1],
] as const;
for (const [given, code, exitCode] of refusals) {
  test(`Google says ${given.reason}: ${code}`, async () => {
    refusal = given;
    await assert.rejects(
      place().query(sql, parameters, {}),
      (error) => error instanceof SlipwayError && error.code === code && error.exitCode === exitCode,
    );
  });
}

test("nobody there", async () => {
  await assert.rejects(
    place({ port: NOBODY }).query(sql, parameters, {}),
    (error) => error instanceof SlipwayError && error.code === "BIGQUERY_UNREACHABLE",
  );
});
