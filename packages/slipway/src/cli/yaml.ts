/**
 * For commands that load it when they run. They import this file and not the package: one that is CommonJS, and is part of the
 * bundle, has no names when it is itself imported late (test/bundle.test.ts looks for such imports).
 */
export { stringify } from "yaml";
