/**
 * Gives the host a turn once in a while in a loop of steps: compiled steps on the CPU block, and promises alone let no signals, timers and events of
 * the page in.
 */
export class Turn {
  private since = performance.now();

  /** @param longest milliseconds that the loop may keep other work waiting */
  constructor(private readonly longest = 40) {}

  /** Resolves at once while there is time left, else after everything else that is due has run. */
  async pause(): Promise<void> {
    if (performance.now() - this.since < this.longest) return;
    await new Promise<void>((resolve) => {
      // setTimeout waits a millisecond or more, and in hidden tabs a second.
      if (typeof setImmediate === 'function') setImmediate(resolve);
      else {
        const { port1, port2 } = new MessageChannel();
        port1.addEventListener('message', () => {
          port1.close();
          resolve();
        });
        port1.start();
        port2.postMessage(null);
      }
    });
    this.since = performance.now();
  }
}
