/**
 * Loaded before the tests of a file with properties: they draw the same cases in every run, so that a commit has one verdict.
 * `SLIPWAY_PROPERTY_SEED=N` draws others, `SLIPWAY_PROPERTY_RUNS=N` as many where a test does not name a number of its own.
 */
import fc from "fast-check";

const { SLIPWAY_PROPERTY_SEED: seed = "20261130", SLIPWAY_PROPERTY_RUNS: runs = "100" } = process.env;
fc.configureGlobal({ seed: Number(seed), numRuns: Number(runs) });
