import type { Measurement } from '../results';

/** What `bench scan` needs of a device: one file each. */
export interface ScanBenchDevice {
  /** One line for reports. */
  readonly description: string;
  /** Sizes that are measured, as `BxDxL` (batch, channels, length). */
  readonly sizes: readonly string[];
  /** Forward, and forward + backward, of one size; the note says the fraction of the floor and the plan. */
  measure(size: string): Promise<readonly Measurement[]>;
  /** Gives back what it holds. */
  close?(): void;
}
