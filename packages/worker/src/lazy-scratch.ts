/**
 * The directory of one attempt, made when something first needs it: small work never does, and
 * making and removing a directory costs more than such work itself.
 */
import { CancelledError } from "@murakkab/kit";
import type { ScratchPort } from "./ports.ts";

export class LazyScratch {
  private readonly port: ScratchPort;
  private dir: string | null = null;
  private isRemoved = false;

  constructor(port: ScratchPort) {
    this.port = port;
  }

  /** Errors: `CANCELLED` after the attempt's end: a directory made then would stay for ever. */
  get path(): string {
    if (this.isRemoved) throw new CancelledError("the attempt that the scratch is of has ended");
    this.dir ??= this.port.make();
    return this.dir;
  }

  async remove(): Promise<void> {
    this.isRemoved = true;
    if (this.dir !== null) await this.port.remove(this.dir);
  }
}
