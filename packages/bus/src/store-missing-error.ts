/** The bucket or log that an open handle belongs to was deleted. */
import { RetryableError } from "@murakkab/kit";

/** Code `STORE_MISSING`. Opening the store again makes it anew, empty: nothing is found in it. */
export class StoreMissingError extends RetryableError {
  constructor(store: string, options: { readonly cause?: unknown } = {}) {
    super("STORE_MISSING", `the store ${store} is not there any more: it was deleted`, {
      ...options,
      context: { store },
    });
  }
}
