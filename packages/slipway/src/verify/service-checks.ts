/** Checks on a deployed service over HTTP: `t.http("/").status(200)`. */
import {
  type Expected,
  fail,
  type HttpAnswer,
  type HttpCheck,
  type HttpRequestSpec,
  type Judgement,
  matches,
  pass,
  showExpected,
  withoutState,
} from "./check.ts";
import { placeOfCaller, specError } from "./collect.ts";

export interface HttpOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** How long the request is repeated until all its expectations hold. Default 10000; 0 asks once. */
  readonly deadlineMs?: number;
}

export interface ServiceOptions {
  /** Name in the config; every cluster's own check needs its own name. Default: the first cluster. */
  readonly cluster?: string;
  /** Number or name of the Service's port. Default: its first. */
  readonly port?: number | string;
}

export class HttpExpectations {
  readonly #add: (check: HttpCheck) => void;
  readonly #request: HttpRequestSpec;

  constructor(add: (check: HttpCheck) => void, request: HttpRequestSpec) {
    this.#add = add;
    this.#request = request;
  }

  status(expected: number): this {
    if (!Number.isInteger(expected) || expected < 100 || expected > 599)
      throw specError(`${expected} is not an HTTP status`);
    return this.#expect(`status ${expected}`, ({ status, body }) =>
      status === expected ? pass() : fail(`status ${status}, body ${body.slice(0, 200)}`),
    );
  }

  /** A string: the whole body, exactly. An expression: searched. */
  body(expected: Expected): this {
    const wanted = withoutState(expected);
    return this.#expect(`body ${showExpected(wanted)}`, ({ body }) =>
      matches(body, wanted) ? pass() : fail(`body ${body.slice(0, 400)}`),
    );
  }

  header(name: string, expected: Expected): this {
    const wanted = withoutState(expected);
    return this.#expect(`header ${name} ${showExpected(wanted)}`, ({ headers }) => {
      const value = headers[name.toLowerCase()];
      if (value === undefined) return fail(`there is no header ${name}`);
      return matches(value, wanted) ? pass() : fail(`${name}: ${value}`);
    });
  }

  #expect(expectation: string, judge: (answer: HttpAnswer) => Judgement): this {
    const { method, path, cluster } = this.#request;
    this.#add({
      kind: "http",
      request: this.#request,
      subject: `${cluster === undefined ? "" : `${cluster} `}${method} ${path}`,
      expectation,
      place: placeOfCaller(),
      judge,
    });
    return this;
  }
}
