import type { Clock } from "@murakkab/kit";

/** What `work` gives, or the error of `onLate` after `limitMs`. The work itself goes on. */
export function within<T>(
  clock: Clock,
  limitMs: number,
  work: Promise<T>,
  onLate: () => Error,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(limitMs, () => reject(onLate()));
    work.then(
      (value) => {
        cancel();
        resolve(value);
      },
      (error: unknown) => {
        cancel();
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}
