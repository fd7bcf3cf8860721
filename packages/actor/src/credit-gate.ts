/**
 * Back-pressure of one stream: the sender may be at most the given credit ahead of its reader.
 */
export class CreditGate {
  private credit: number;
  private isClosed = false;
  private waiters: ((mayGo: boolean) => void)[] = [];

  constructor(credit: number) {
    this.credit = credit;
  }

  /** Resolves with true when one item may be sent, with false when the stream was closed. */
  take(): Promise<boolean> {
    if (this.isClosed) return Promise.resolve(false);
    if (this.credit > 0) {
      this.credit -= 1;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => this.waiters.push(resolve));
  }

  add(credit: number): void {
    this.credit += credit;
    while (this.credit > 0) {
      const waiter = this.waiters.shift();
      if (waiter === undefined) return;
      this.credit -= 1;
      waiter(true);
    }
  }

  close(): void {
    this.isClosed = true;
    for (const waiter of this.waiters.splice(0)) waiter(false);
  }
}
