/** What the scheduler's protocol logic needs of the platform. */
import type { ArtifactHolder, ArtifactRef } from "@murakkab/model";

/** Writes values that are too large for a message into some agent's store. */
export interface ArtifactUplink {
  put(
    holder: ArtifactHolder,
    value: { readonly jobId: string; readonly data: Uint8Array; readonly mediaType: string },
  ): Promise<ArtifactRef>;
}

/** Looks whether an agent's artifact server answers under the address that it advertises. */
export interface AddressProbe {
  /** Errors: `ADDRESS_UNREACHABLE` (retryable), naming node and address. */
  check(holder: ArtifactHolder): Promise<void>;
}

/** Short-lived permission to upload or download, signed with the cluster's token. */
export interface TicketIssuer {
  ticket(purpose: "upload" | "download", lifetimeMs: number): string;
}
