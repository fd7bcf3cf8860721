import { defineConfig } from "vitest/config";

export default defineConfig({
  // Sibling packages are imported from source: no build is needed to run the tests.
  resolve: { conditions: ["source"] },
  ssr: { resolve: { conditions: ["source"], externalConditions: ["source"] } },
  test: {
    include: ["packages/*/test/**/*.test.ts", "test/**/*.test.ts"],
    // Two cores are the smallest machine that the suite must pass on.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
