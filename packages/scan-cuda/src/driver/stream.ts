import type { CudaDriver } from './library';

const notReady = 600; // CUDA_ERROR_NOT_READY
const nonBlocking = 1; // CU_STREAM_NON_BLOCKING
const threadLocalCapture = 1; // CU_STREAM_CAPTURE_MODE_THREAD_LOCAL

/** A queue of work, independent of the default stream. Where a stream is optional, leaving it out means the default one. */
export class CudaStream {
  readonly handle: bigint;

  constructor(private readonly driver: CudaDriver) {
    const handle = new BigUint64Array(1);
    driver.check('cuStreamCreate', handle, nonBlocking);
    this.handle = handle[0];
  }

  synchronize(): void {
    this.driver.check('cuStreamSynchronize', this.handle);
  }

  /** Is all queued work done? */
  done(): boolean {
    if (this.driver.call('cuStreamQuery', this.handle) === notReady) return false;
    this.driver.check('cuStreamQuery', this.handle);
    return true;
  }

  /** Waits for an event of another stream, on the device. */
  wait(event: CudaEvent): void {
    this.driver.check('cuStreamWaitEvent', this.handle, event.handle, 0);
  }

  /** Copies from pinned host memory (a host address), from device memory, or to pinned host memory. */
  upload(to: bigint, fromHost: bigint, bytes: number): void {
    this.driver.check('cuMemcpyHtoDAsync', to, fromHost, bytes, this.handle);
  }
  copy(to: bigint, from: bigint, bytes: number): void {
    this.driver.check('cuMemcpyDtoDAsync', to, from, bytes, this.handle);
  }
  download(toHost: bigint, from: bigint, bytes: number): void {
    this.driver.check('cuMemcpyDtoHAsync', toHost, from, bytes, this.handle);
  }

  /** Fills with a byte, or with a 32-bit word. */
  fillBytes(to: bigint, byte: number, count: number): void {
    this.driver.check('cuMemsetD8Async', to, byte, count, this.handle);
  }
  fillWords(to: bigint, word: number, count: number): void {
    this.driver.check('cuMemsetD32Async', to, word, count, this.handle);
  }

  /** Records what `body` queues on this stream, without running it. */
  capture(body: () => void): CudaGraph {
    this.driver.check('cuStreamBeginCapture', this.handle, threadLocalCapture);
    const graph = new BigUint64Array(1);
    try {
      body();
    } catch (error) {
      this.driver.call('cuStreamEndCapture', this.handle, graph);
      if (graph[0] !== 0n) this.driver.call('cuGraphDestroy', graph[0]);
      throw error;
    }
    this.driver.check('cuStreamEndCapture', this.handle, graph);
    return new CudaGraph(this.driver, graph[0]);
  }

  destroy(): void {
    this.driver.check('cuStreamDestroy', this.handle);
  }
}

/** Recorded work, replayed with one call. */
export class CudaGraph {
  private readonly executable: bigint;

  constructor(
    private readonly driver: CudaDriver,
    graph: bigint,
  ) {
    const executable = new BigUint64Array(1);
    try {
      driver.check('cuGraphInstantiate', executable, graph, 0);
    } finally {
      driver.call('cuGraphDestroy', graph);
    }
    this.executable = executable[0];
  }

  launch(stream: CudaStream): void {
    this.driver.check('cuGraphLaunch', this.executable, stream.handle);
  }

  destroy(): void {
    this.driver.check('cuGraphExecDestroy', this.executable);
  }
}

/** A point in a stream, with its time. */
export class CudaEvent {
  readonly handle: bigint;

  constructor(private readonly driver: CudaDriver) {
    const handle = new BigUint64Array(1);
    driver.check('cuEventCreate', handle, 0);
    this.handle = handle[0];
  }

  record(stream?: CudaStream): void {
    this.driver.check('cuEventRecord', this.handle, stream?.handle ?? 0n);
  }

  synchronize(): void {
    this.driver.check('cuEventSynchronize', this.handle);
  }

  /** Has all work before it been done? */
  happened(): boolean {
    if (this.driver.call('cuEventQuery', this.handle) === notReady) return false;
    this.driver.check('cuEventQuery', this.handle);
    return true;
  }

  /** Milliseconds from `start` to this event; both must have happened. */
  since(start: CudaEvent): number {
    const milliseconds = new Float32Array(1);
    this.driver.check('cuEventElapsedTime', milliseconds, start.handle, this.handle);
    return milliseconds[0];
  }

  destroy(): void {
    this.driver.check('cuEventDestroy', this.handle);
  }
}
