/** Where the shipped executors, workflows and prices lie. */
import { fileURLToPath } from "node:url";

export const CATALOGUE_DIR = fileURLToPath(new URL("../catalogue", import.meta.url));
