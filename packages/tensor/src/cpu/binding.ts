import type { DeviceBuffer } from '../backend';
import type { Program } from '../compile/program';
import { DeviceError } from '../errors';
import type { CpuBuffer } from './buffer';
import { control } from './control';
import type { PrintedProgram } from './wasm/program';

/** What bindings and compiled programs need of their backend. */
export interface ProgramHost {
  allocate(bytes: number): number;
  free(address: number): void;
  /** The whole memory as it is now. */
  memory(): ArrayBufferLike;
  /** The buffer, if it is a live one of this backend with at least `bytes` bytes. @throws DeviceError */
  own(buffer: DeviceBuffer, bytes: number, what: string): CpuBuffer;
}

/**
 * A table in memory that tells a program where its buffers are (see PrintedProgram), and the parameter structs of its
 * routines.
 */
export class Binding {
  /** Address of the table, as a signed i32. */
  readonly table: number;
  private readonly address: number;
  private readonly routineAddresses: readonly number[];
  private addresses: readonly number[] = [];
  private buffers: readonly CpuBuffer[] = [];

  constructor(
    private readonly host: ProgramHost,
    private readonly program: Program,
    private readonly printed: PrintedProgram,
  ) {
    let bytes = align(printed.tableWords * 4);
    const offsets = printed.routines.map(({ step, routine }) => {
      const at = bytes;
      bytes += align(routine.paramBytes(step.call));
      return at;
    });
    this.address = host.allocate(bytes);
    this.table = this.address | 0;
    this.routineAddresses = offsets.map((offset) => this.address + offset);
  }

  /** Points the program at these buffers. */
  bind(externals: readonly DeviceBuffer[], arena: DeviceBuffer | null, scratch: number): void {
    const { host, program } = this;
    if (externals.length !== program.externals.length) {
      throw new DeviceError(`cpu: a program got ${externals.length} buffers, expected ${program.externals.length}`);
    }
    if (program.arenaBytes > 0 && arena === null) {
      throw new DeviceError(`cpu: a program needs an arena of ${program.arenaBytes} bytes and got none`);
    }
    const buffers = externals.map((buffer, i) =>
      host.own(buffer, program.slots[program.externals[i]].bytes, `buffer ${i}`),
    );
    if (program.arenaBytes > 0) buffers.push(host.own(arena as DeviceBuffer, program.arenaBytes, 'the arena'));
    const addresses = [
      ...buffers.slice(0, externals.length).map((b) => b.address),
      program.arenaBytes > 0 ? (buffers.at(-1) as CpuBuffer).address : 0,
      scratch,
    ];
    this.buffers = buffers;
    if (addresses.length === this.addresses.length && addresses.every((a, i) => a === this.addresses[i])) return;
    this.addresses = addresses;
    this.write();
  }

  private write(): void {
    const { host, program, printed, addresses } = this;
    new Int32Array(host.memory(), this.address, printed.tableWords).set(
      [...addresses, ...this.routineAddresses].map((a) => a | 0),
    );
    const arena = addresses[program.externals.length];
    const slotAddress = (slot: number | null): number => {
      if (slot === null) return 0;
      const { kind, offset } = program.slots[slot];
      return kind === 'arena' ? arena + offset : addresses[program.externals.indexOf(slot)];
    };
    const view = new DataView(host.memory());
    printed.routines.forEach(({ step, routine }, i) => {
      routine.writeParams(view, this.routineAddresses[i], step.call, {
        inputs: step.inputs.map(slotAddress),
        outputs: step.outputs.map(slotAddress),
        scratch: slotAddress(step.scratch),
        fault: control.fault,
      });
    });
  }

  /** @throws DeviceError when a bound buffer was freed since */
  checkAlive(): void {
    const { buffers } = this;
    for (let i = 0; i < buffers.length; i++) {
      if (buffers[i].freed) throw new DeviceError(`cpu: buffer ${i} of a recording was freed`);
    }
  }

  dispose(): void {
    this.host.free(this.address);
  }
}

function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
