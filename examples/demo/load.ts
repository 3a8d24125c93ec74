/**
 * The load of the demo, in a process of its own: a steady 200 requests a second through the edge, GET and POST mixed,
 * open loop (a slow answer does not slow the sending), without any retry. Every body is checked: who answered, in
 * which release, in which cluster, and whether a POST came back with the order that was sent.
 *
 * Talks to its parent by IPC: in `{ type: "step", name, releases }` · `{ type: "lost", cluster, at }` · `{ type: "stop" }`,
 * out `{ type: "report", step }` for each step when all is over: what a loss excuses may fail before it is told of the loss.
 * Stops by itself after a quarter of an hour.
 */
import { Agent, type IncomingMessage, request } from "node:http";

export interface StepReport {
  readonly name: string;
  sent: number;
  failed: number;
  /** Failures that no load balancer can avoid: see `isExcused`. */
  excused: number;
  /** Answers by release and by cluster. */
  readonly releases: Record<string, number>;
  readonly clusters: Record<string, number>;
  readonly samples: string[];
  readonly latenciesMs: number[];
}

export type ToLoad =
  | { readonly type: "step"; readonly name: string; readonly releases: readonly string[] }
  | { readonly type: "lost"; readonly cluster: string; readonly at: number }
  | { readonly type: "stop" };
export type FromLoad = { readonly type: "ready" } | { readonly type: "report"; readonly step: StepReport };

const RATE_PER_SECOND = 200;
const LONGEST_RUN_MS = 900_000;
/** How long after the kill a request can still be "on its way": the edge learns of it within this time. */
const KILL_INSTANT_MS = 500;

interface Expectation {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly service: "web" | "backend1" | "backend2" | "static";
}

/** One round of the mix: 8 requests, 3 of them POST, through every path of the shop. */
const mix: readonly Expectation[] = [
  { method: "GET", path: "/", service: "web" },
  { method: "GET", path: "/be1/", service: "backend1" },
  { method: "POST", path: "/orders", service: "web" },
  { method: "GET", path: "/be2/", service: "backend2" },
  { method: "POST", path: "/be1/orders", service: "backend1" },
  { method: "GET", path: "/static/", service: "static" },
  { method: "GET", path: "/be1/", service: "backend1" },
  { method: "POST", path: "/be2/orders", service: "backend2" },
];

interface Step {
  readonly report: StepReport;
  readonly releases: readonly string[];
  readonly problems: Problem[];
}

/** A request whose answer is not what it should be. */
interface Problem {
  readonly expected: Expectation;
  /** Wall time, of which the loss of a cluster is told, too. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly outcome: Outcome;
  readonly what: string;
}

interface Loss {
  readonly cluster: string;
  readonly at: number;
  readonly during: Step | undefined;
}

const origin = process.argv[2] as string;
const agent = new Agent({ keepAlive: true, maxSockets: 256 });
const steps: Step[] = [];
const losses: Loss[] = [];
let step: Step | undefined;
let count = 0;
/** Requests without an outcome yet. */
let open = 0;

function newStep(name: string, releases: readonly string[]): void {
  const report = {
    name,
    sent: 0,
    failed: 0,
    excused: 0,
    releases: {},
    clusters: {},
    samples: [],
    latenciesMs: [],
  };
  step = { report, releases, problems: [] };
  steps.push(step);
}

/** Resolves when the parent has them. */
async function reportAll(): Promise<void> {
  for (const { report, problems } of steps) {
    for (const problem of problems) {
      const loss = losses.find((one) => isExcused(problem, one));
      if (loss !== undefined) (loss.during?.report ?? report).excused += 1;
      else {
        report.failed += 1;
        const { method, path } = problem.expected;
        if (report.samples.length < 5) report.samples.push(`${method} ${path}: ${problem.what}`);
      }
    }
  }
  await Promise.all(steps.map(({ report }) => tell({ type: "report", step: report })));
}

function tell(message: FromLoad): Promise<void> {
  return new Promise((resolve) => void process.send?.(message, () => resolve()));
}

interface Outcome {
  readonly status: number | undefined;
  readonly text: string;
  /** True once the head of an answer that is not the edge's own error has arrived. */
  readonly answerBegan: boolean;
  /** What the edge says of a request that it could not get answered; see `isExcused`. */
  readonly edge: string | undefined;
  readonly error: string | undefined;
}

function send(current: Step): void {
  const expected = mix[count % mix.length] as Expectation;
  const number = count;
  count += 1;
  open += 1;
  current.report.sent += 1;
  const startedAt = Date.now();
  const began = performance.now();
  const body = expected.method === "POST" ? JSON.stringify({ number }) : undefined;
  let isOver = false;
  const finish = (outcome: Outcome): void => {
    if (isOver) return;
    isOver = true;
    open -= 1;
    current.report.latenciesMs.push(performance.now() - began);
    const what = outcome.error ?? check(current, expected, number, outcome);
    if (what !== undefined)
      current.problems.push({ expected, startedAt, endedAt: Date.now(), outcome, what });
  };
  const outgoing = request(
    `${origin}${expected.path}`,
    {
      method: expected.method,
      agent,
      headers:
        body === undefined
          ? {}
          : { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
    },
    (answer: IncomingMessage) => {
      let text = "";
      const edge = answer.headers["x-slipway-edge"]?.toString();
      const done = (error: string | undefined): void =>
        finish({ status: answer.statusCode, text, answerBegan: edge === undefined, edge, error });
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => {
        text += chunk;
      });
      answer.on("end", () => done(undefined));
      answer.on("error", (error) => done(`the answer broke off: ${error.message}`));
    },
  );
  outgoing.setTimeout(30_000, () => outgoing.destroy(new Error("no answer within 30 s")));
  outgoing.on("error", (error) =>
    finish({ status: undefined, text: "", answerBegan: false, edge: undefined, error: error.message }),
  );
  outgoing.end(body);
}

/** What is wrong with an answer, or undefined when it is what it should be. */
function check(
  current: Step,
  expected: Expectation,
  number: number,
  { status, text }: Outcome,
): string | undefined {
  const wanted = expected.method === "POST" ? 201 : 200;
  if (status !== wanted) return `${status} ${text.slice(0, 120).trim()}`;
  if (expected.service === "static")
    return text.includes("<h1>Shop</h1>") ? undefined : "not the static page";
  let body: { service?: string; release?: string; node?: string; order?: { number?: number } };
  try {
    body = JSON.parse(text);
  } catch {
    return `not JSON: ${text.slice(0, 80)}`;
  }
  const { service = "", release = "", node = "" } = body;
  if (service !== expected.service) return `answered by ${service}, not ${expected.service}`;
  if (!current.releases.includes(release))
    return `answered by release ${release}, allowed are ${current.releases.join(", ")}`;
  if (expected.method === "POST" && body.order?.number !== number)
    return `order ${number} came back as ${body.order?.number}`;
  const cluster = node.split("-")[0] ?? "";
  current.report.releases[release] = (current.report.releases[release] ?? 0) + 1;
  current.report.clusters[cluster] = (current.report.clusters[cluster] ?? 0) + 1;
  return undefined;
}

/**
 * When a whole cluster vanishes, a POST that was on its way to it may have been carried out, so nobody may repeat it;
 * and an answer that had begun cannot be begun again. Nothing else is excused, and nothing outside that instant.
 */
function isExcused({ expected, startedAt, endedAt, outcome }: Problem, lost: Loss): boolean {
  if (startedAt > lost.at + KILL_INSTANT_MS || endedAt < lost.at) return false;
  // A POST that never left the edge ("not-sent") could have gone elsewhere: that is no excuse.
  if (expected.method === "POST") {
    return outcome.answerBegan || (outcome.edge === "lost-after-send" && outcome.text.includes(lost.cluster));
  }
  return outcome.answerBegan && outcome.error !== undefined;
}

process.on("message", (message: ToLoad) => {
  if (message.type === "step") newStep(message.name, message.releases);
  else if (message.type === "lost") losses.push({ cluster: message.cluster, at: message.at, during: step });
  else stop();
});
process.on("disconnect", () => process.exit(0));

const beganAt = performance.now();
let due = 0;
const timer = setInterval(() => {
  if (performance.now() - beganAt > LONGEST_RUN_MS) return stop();
  if (step === undefined) {
    due = performance.now();
    return;
  }
  // A late tick sends what it owes, so that the rate holds on a busy machine.
  while (due <= performance.now()) {
    send(step);
    due += 1000 / RATE_PER_SECOND;
  }
}, 5);

function stop(): void {
  clearInterval(timer);
  const waiting = setInterval(() => {
    if (open > 0) return;
    clearInterval(waiting);
    void reportAll().then(() => process.exit(0));
  }, 10);
}

void tell({ type: "ready" });
