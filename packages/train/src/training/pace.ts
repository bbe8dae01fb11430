/** Steps whose times are remembered. */
const remembered = 50;

/** How fast a run is, from its latest steps: the first (which plans the program) and pauses for validation don't count. */
export class Pace {
  private readonly seconds: number[] = [];
  private skipped = false;

  add(seconds: number): void {
    if (!this.skipped) {
      this.skipped = true;
      return;
    }
    this.seconds.push(seconds);
    if (this.seconds.length > remembered) this.seconds.shift();
  }

  /** Mean seconds per step; NaN before there is anything to go by. */
  get secondsPerStep(): number {
    return this.seconds.reduce((sum, s) => sum + s, 0) / this.seconds.length;
  }
}
