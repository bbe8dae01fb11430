import type { CudaDriver } from './library';

/** sizeof(CUtensorMap), and the alignment that the driver asks for. */
export const tensorMapBytes = 128;
const tensorMapAlignment = 64;

/** A row-major matrix of 16-bit numbers, whose tiles the copy engine brings to shared memory. */
export interface TiledMatrix {
  readonly address: bigint;
  readonly type: 'bfloat16' | 'float16';
  readonly rows: number;
  readonly columns: number;
  /** Bytes from one row to the next, a multiple of 16. */
  readonly pitchBytes: number;
  /** Rows of a tile, at most 256; its columns are 64, 128 bytes. */
  readonly tileRows: number;
}

// Values of the driver's enumerations (cuda.h).
const dataTypes = { float16: 6, bfloat16: 9 } as const;
const swizzle128Bytes = 3;
const promote128Bytes = 2;

/**
 * Writes the CUtensorMap of a matrix, an argument of kernels for compute capability 9.0 and later, to the {@link tensorMapBytes} bytes of `to`. Chunks of
 * 16 bytes of a tile lie at (chunk ^ row % 8) within their row; what is outside the matrix becomes zeros.
 *
 * @throws CudaError where the driver refuses the matrix
 */
export function encodeTensorMap(driver: CudaDriver, to: Uint8Array, { address, type, rows, columns, pitchBytes, tileRows }: TiledMatrix): void {
  const room = new Uint8Array(new ArrayBuffer(tensorMapBytes + tensorMapAlignment));
  const at = Number(-driver.address(room) & BigInt(tensorMapAlignment - 1));
  const map = room.subarray(at, at + tensorMapBytes);
  const sizes = BigUint64Array.of(BigInt(columns), BigInt(rows));
  const strides = BigUint64Array.of(BigInt(pitchBytes));
  const [box, steps] = [Uint32Array.of(64, tileRows), Uint32Array.of(1, 1)];
  driver.check('cuTensorMapEncodeTiled', map, dataTypes[type], 2, address, sizes, strides, box, steps, 0, swizzle128Bytes, promote128Bytes, 0);
  to.set(map);
}
