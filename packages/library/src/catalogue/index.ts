export { executorFileSchema } from "./executor-file.ts";
export { HOLES_EXPECTED, type Hole, parseHoles, selectArgs, type TextPart } from "./holes.ts";
export type { KnownNames } from "./lint-executor.ts";
export { type LoadedLibrary, loadLibrary, PRICES_FILE } from "./load-library.ts";
export { type EnergyModel, loadPrices, type PriceTable } from "./load-prices.ts";
export { formatProblem, type LibraryProblem } from "./problem.ts";
