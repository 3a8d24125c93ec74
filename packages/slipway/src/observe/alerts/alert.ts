/** What is wrong, and since when: the words that rules, incidents and their store share. */
import type { Severity } from "./rules.ts";

export interface Fact {
  readonly name: string;
  readonly value: string;
}

/** What a rule says of one service (or cluster, or row) at one moment. What it does not mention is well. */
export interface Finding {
  /** Rule and what it is about; the same problem has the same one for as long as it lasts. */
  readonly fingerprint: string;
  readonly rule: string;
  readonly severity: Severity;
  /** Findings of one group that begin about the same time are one incident: many rules see one outage. */
  readonly group: string | undefined;
  /** `unknown`: nothing can be said, because there are no requests. It opens nothing and closes nothing. */
  readonly state: "wrong" | "unknown";
  /** It must be so for this long before anybody is told, ms. */
  readonly forMs: number;
  /** Coming back within this time it is the same incident again, ms. */
  readonly reopenMs: number;
  readonly service: string;
  /** Empty: all of them. */
  readonly cluster: string;
  /** The one that nearly all of it comes from. */
  readonly release: number | undefined;
  readonly title: string;
  readonly facts: readonly Fact[];
  /** Redacted lines. */
  readonly samples: readonly string[];
}

/** An incident. */
export interface Alert {
  readonly id: string;
  /** Findings that belong to it; one at first. */
  readonly fingerprints: readonly string[];
  readonly group: string | undefined;
  readonly state: "firing" | "no-data" | "resolved";
  /** Of the gravest finding, which the texts are of too. */
  readonly rule: string;
  readonly severity: Severity;
  readonly service: string;
  readonly cluster: string;
  readonly release: number | undefined;
  readonly title: string;
  readonly facts: readonly Fact[];
  readonly samples: readonly string[];
  readonly openedAt: number;
  /** When it last came to be what it is: opened, graver, closed. */
  readonly changedAt: number;
  readonly resolvedAt: number | undefined;
  readonly reopenMs: number;
}

/**
 * Something that somebody else watches: a row of a query, a query that failed, an alert of Prometheus. What a source
 * reports replaces what it reported before: what is missing is over.
 */
export interface Signal {
  readonly rule: string;
  /** Tells the rows of one rule apart. */
  readonly key: string;
  readonly severity: Severity;
  readonly service: string;
  readonly cluster: string;
  readonly release: number | undefined;
  readonly title: string;
  readonly facts: readonly Fact[];
}
