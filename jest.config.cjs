/**
 * Two projects. `pure` needs no server and starts at once. `service` may ask for PostgreSQL and Temporal (test/support): its
 * global setup opens a small process that starts each of them when the first test file asks, so a run pays only for what it uses.
 * Jest runs a project's global setup only when one of its files is selected.
 */
const PURE = '(definition|engine|pure)';

const base = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  transform: { '^.+\\.ts$': '@swc/jest' },
  // Sources say `./x.js`, as nodenext wants; here that is `./x.ts`.
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  cacheDirectory: '<rootDir>/.cache/jest',
};

module.exports = {
  maxWorkers: 2,
  watchman: false,
  testTimeout: 30_000,
  projects: [
    { ...base, displayName: 'pure', testRegex: [`/test/${PURE}/.*\\.test\\.ts$`] },
    {
      ...base,
      displayName: 'service',
      testRegex: ['/test/.*\\.test\\.ts$'],
      testPathIgnorePatterns: [`<rootDir>/test/${PURE}/`],
      globalSetup: '<rootDir>/test/global-setup.ts',
      globalTeardown: '<rootDir>/test/global-teardown.ts',
    },
  ],
};
