/**
 * Text of tokens as they come, held back while it could be the beginning of a stop string or the middle of a code
 * point.
 */
export class StopText {
  private readonly utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  private held = '';

  constructor(private readonly stops: readonly string[]) {}

  /**
   * @param bytes of the next token
   * @param last nothing follows: nothing is held back any more
   * @returns text that is sure to be shown, and whether a stop string was met: it and what is behind it are left out
   */
  push(bytes: Uint8Array, last: boolean): { readonly text: string; readonly stopped: boolean } {
    this.held += this.utf8.decode(bytes, { stream: !last });
    const found = this.stops.map((stop) => this.held.indexOf(stop)).filter((at) => at >= 0);
    const stopped = found.length > 0;
    const shown = stopped ? Math.min(...found) : last ? this.held.length : this.held.length - this.beginnings();
    const text = this.held.slice(0, shown);
    this.held = stopped ? '' : this.held.slice(shown);
    return { text, stopped };
  }

  /** Characters at the end that begin a stop string. */
  private beginnings(): number {
    const longest = Math.max(0, ...this.stops.map((stop) => stop.length - 1));
    for (let count = Math.min(longest, this.held.length); count > 0; count--) {
      const end = this.held.slice(-count);
      if (this.stops.some((stop) => stop.startsWith(end))) return count;
    }
    return 0;
  }
}
