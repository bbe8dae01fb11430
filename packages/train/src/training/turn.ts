/** How long the loop may keep other work waiting: signals, timers, a page that wants to be drawn. */
const longestTurn = 40;

/** Lets everything else that is due run, once in a while: compiled steps on the CPU block, and promises alone don't let signals in. */
export class Turn {
  private since = performance.now();

  async pause(): Promise<void> {
    if (performance.now() - this.since < longestTurn) return;
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
