import type { DeviceBuffer, Executable, Recording, StepDescription } from '../backend';
import type { Program } from '../compile/program';
import { DeviceError } from '../errors';
import { Binding, type ProgramHost } from './binding';
import type { PoolProgram } from './pool';
import type { PrintedProgram } from './wasm/program';

/** The backend as compiled programs see it. */
export interface ProgramRunner extends ProgramHost {
  readonly threads: number;
  /** Runs on all threads; throws the program's fault, if any. */
  execute(code: PoolProgram, table: number): void;
  /** The program is used again: it must be among the cached ones, which will be told when they are evicted. */
  touch(program: CompiledProgram): void;
}

/** Module code as the pool runs it. */
class Code implements PoolProgram {
  address = 0;

  constructor(
    readonly id: number,
    readonly enter: PoolProgram['enter'],
    readonly parallel: boolean,
    readonly length: number,
  ) {}
}

/**
 * A program with its module and what it holds in memory: the module bytes for the workers, scratch, and one binding for
 * `run`. All three are made at first use and given back on eviction from the backend's cache; it stays usable
 * afterwards.
 */
export class CompiledProgram implements Executable {
  private readonly code: Code;
  private binding: Binding | null = null;
  private scratch = 0;
  private recordings = 0;
  private cached = true;

  constructor(
    private readonly runner: ProgramRunner,
    readonly program: Program,
    private readonly printed: PrintedProgram,
    id: number,
    enter: PoolProgram['enter'],
  ) {
    this.code = new Code(id, enter, printed.parallel && runner.threads > 1, printed.bytes.length);
  }

  run(externals: readonly DeviceBuffer[], arena: DeviceBuffer | null): void {
    this.load();
    this.binding ??= new Binding(this.runner, this.program, this.printed);
    this.binding.bind(externals, arena, this.scratch);
    this.runner.execute(this.code, this.binding.table);
  }

  record(externals: readonly DeviceBuffer[], arena: DeviceBuffer | null): Recording {
    this.load();
    const binding = new Binding(this.runner, this.program, this.printed);
    try {
      binding.bind(externals, arena, this.scratch);
    } catch (error) {
      binding.dispose();
      throw error;
    }
    this.recordings++;
    return new CpuRecording(this.runner, this.code, binding, () => {
      this.recordings--;
      if (!this.cached) this.unload();
    });
  }

  describe(): readonly StepDescription[] {
    return this.printed.descriptions.map((code) => ({ code }));
  }

  private load(): void {
    this.cached = true;
    this.runner.touch(this);
    const { code, printed, runner } = this;
    if (this.scratch === 0 && printed.scratchBytes > 0) this.scratch = runner.allocate(printed.scratchBytes);
    if (code.address === 0 && code.parallel) {
      const at = runner.allocate(code.length);
      new Uint8Array(runner.memory(), at, code.length).set(printed.bytes);
      code.address = at;
    }
  }

  /** Gives its memory back, as far as no recording needs it. */
  evict(): void {
    this.cached = false;
    this.unload();
  }

  private unload(): void {
    this.binding?.dispose();
    this.binding = null;
    if (this.recordings > 0) return;
    if (this.scratch !== 0) this.runner.free(this.scratch);
    if (this.code.address !== 0) this.runner.free(this.code.address);
    this.scratch = 0;
    this.code.address = 0;
  }
}

class CpuRecording implements Recording {
  private disposed = false;

  constructor(
    private readonly runner: ProgramRunner,
    private readonly code: PoolProgram,
    private readonly binding: Binding,
    private readonly onDispose: () => void,
  ) {}

  replay(): void {
    if (this.disposed) throw new DeviceError('cpu: a recording was replayed after it was disposed');
    this.binding.checkAlive();
    this.runner.execute(this.code, this.binding.table);
  }

  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.binding.dispose();
    this.onDispose();
  }
}
