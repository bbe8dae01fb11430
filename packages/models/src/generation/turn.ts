/** Longest time between two looks at the host's other events. */
const MILLISECONDS = 10;

interface Host {
  readonly setImmediate?: (done: () => void) => void;
  readonly setTimeout: (done: () => void, milliseconds: number) => void;
}

/**
 * Gives the host a turn from time to time: where a device answers at once, a loop of awaits never comes to timers, signals
 * and the page's events.
 */
export class Turn {
  private last: number = performance.now();

  async pause(): Promise<void> {
    if (performance.now() - this.last < MILLISECONDS) return;
    const host = globalThis as unknown as Host;
    await new Promise<void>((resolve) => {
      if (host.setImmediate) host.setImmediate(resolve);
      else host.setTimeout(resolve, 0);
    });
    this.last = performance.now();
  }
}
