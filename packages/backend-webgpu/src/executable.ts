import { DeviceError, type DeviceBuffer, type Executable, type Program, type Recording, type Step, type StepDescription } from '@mamba-ts/tensor';
import type { WebGpuBuffer } from './buffer';
import { type BoundDispatch, encode } from './dispatch';
import { foldWorkgroups, type NativeWork, type Pass, type PassBinding, type Resource, resourceBytes, type Work } from './pass';
import type { Pipeline } from './pipelines';
import { Profiler } from './profiler';
import { bufferOf, raisesFaults, StepMemory } from './routine';
import type { Runtime } from './runtime';
import { kernelPasses } from './wgsl/kernel';

/** A pass with its pipeline, or foreign work. */
type Dispatch = { readonly step: number } & ({ readonly native: NativeWork } | PreparedPass);

interface PreparedPass {
  readonly native: null;
  readonly pipeline: Pipeline;
  readonly bindings: readonly PassBinding[];
  readonly x: number;
  readonly y: number;
}

/** A program as pipelines. Bound to buffers it is a list of dispatches: a replay encodes them into one pass and submits once. */
export class WebGpuExecutable implements Executable {
  private readonly dispatches: Dispatch[] = [];
  private readonly descriptions: StepDescription[] = [];
  private readonly scratchBytes: number;
  private readonly raises: boolean;
  readonly profile?: Executable['profile'];

  constructor(
    private readonly backend: Runtime,
    private readonly program: Program,
  ) {
    this.raises = program.steps.some((s) => s.kind === 'routine' && raisesFaults(s.call));
    if (backend.gpu.features.has('timestamp-query')) this.profile = (externals, arena) => this.measure(externals, arena);
    let scratchBytes = 0;
    program.steps.forEach((step, index) => {
      const works = this.works(step);
      for (const work of works) {
        this.dispatches.push('kind' in work ? { step: index, native: work } : this.dispatch(work, index));
        const resources = 'kind' in work ? work.operands : work.bindings;
        for (const { resource } of resources) if (resource.kind === 'scratch') scratchBytes = Math.max(scratchBytes, resource.offset + resource.bytes);
      }
      this.descriptions.push({ code: works.length === 0 ? 'nothing to do' : [...new Set(works.map((w) => w.label))].join(', then ') });
    });
    this.scratchBytes = scratchBytes;
  }

  private works(step: Step): readonly Work[] {
    if (step.kind === 'kernel') return kernelPasses(step, this.program);
    const routine = this.backend.routine(step.call);
    return routine.passes(step.call, new StepMemory(step, this.program, this.raises), this.backend.capabilities);
  }

  private dispatch(given: Pass, step: number): Dispatch {
    const pass = this.gated(merged(given));
    this.checkLimits(pass, step);
    // Memory that one dispatch writes can't be bound as read-only in it, and all arena slots are one buffer.
    const written = new Set(pass.bindings.filter((b) => b.writes).map((b) => bufferOf(b.resource, this.program)));
    const readOnly = pass.bindings.map((b) => !written.has(bufferOf(b.resource, this.program)));
    const pipeline = this.backend.pipelines.get(pass, readOnly);
    const [x, y] = foldWorkgroups(pass.workgroups);
    return { step, native: null, pipeline, bindings: pass.bindings, x, y };
  }

  /** In programs that can meet bad ids, what changes variables first looks whether one was met: later steps then did not run. */
  private gated(pass: Pass): Pass {
    const changes = pass.bindings.some((b) => b.writes && b.resource.kind === 'slot' && this.program.slots[b.resource.slot].outlives);
    if (!this.raises || !changes || pass.bindings.some((b) => b.resource.kind === 'fault')) return pass;
    const gate: PassBinding = { name: 'fault_gate', type: 'u32', resource: { kind: 'fault' }, writes: false };
    return { ...pass, bindings: [...pass.bindings, gate], body: `  if (fault_gate[0] != 0u) { return; }\n${pass.body}` };
  }

  private checkLimits(pass: Pass, step: number): void {
    const { maxBindingBytes, maxBuffers } = this.backend.capabilities;
    const what = `step ${step} (${pass.label})`;
    if (pass.bindings.length > maxBuffers + 1) throw new DeviceError(`webgpu: ${what} binds ${pass.bindings.length} buffers, expected at most ${maxBuffers + 1}`);
    for (const b of pass.bindings) {
      const bytes = resourceBytes(b.resource);
      if (bytes > maxBindingBytes) {
        throw new DeviceError(`webgpu: ${what} binds ${bytes} bytes, expected at most ${maxBindingBytes} (the device's maxStorageBufferBindingSize)`);
      }
    }
  }

  /** Bind groups for these buffers. `scratch` is memory of the caller. */
  private bind(externals: readonly DeviceBuffer[], arena: DeviceBuffer | null, scratch: WebGpuBuffer | null): { bound: BoundDispatch[]; buffers: WebGpuBuffer[] } {
    const { backend, program } = this;
    if (externals.length !== program.externals.length) {
      throw new DeviceError(`webgpu: a program got ${externals.length} buffers, expected ${program.externals.length}`);
    }
    const buffers = externals.map((b, i) => backend.own(b, program.slots[program.externals[i]].bytes, `buffer ${i}`));
    if (program.arenaBytes > 0) {
      if (!arena) throw new DeviceError(`webgpu: a program needs an arena of ${program.arenaBytes} bytes and got none`);
      buffers.push(backend.own(arena, program.arenaBytes, 'the arena'));
    }
    const external = new Map(program.externals.map((slot, i) => [slot, buffers[i].gpu]));
    const range = (resource: Resource): GPUBufferBinding => {
      const size = Math.max(4, Math.ceil(resourceBytes(resource) / 4) * 4);
      if (resource.kind === 'fault') return { buffer: backend.faults.buffer, offset: 0, size };
      if (resource.kind === 'scratch') return { buffer: (scratch as WebGpuBuffer).gpu, offset: resource.offset, size };
      const own = external.get(resource.slot);
      if (own) return { buffer: own, offset: resource.offset, size };
      return { buffer: (buffers.at(-1) as WebGpuBuffer).gpu, offset: program.slots[resource.slot].offset + resource.offset, size };
    };
    const bound = this.dispatches.map((d): BoundDispatch => {
      const { step } = d;
      if (d.native) return { step, native: d.native.bind(d.native.operands.map((o) => range(o.resource))) };
      const entries = d.bindings.map((b, binding) => ({ binding, resource: range(b.resource) }));
      return { step, native: null, pipeline: d.pipeline.pipeline, group: backend.gpu.createBindGroup({ layout: d.pipeline.layout, entries }), x: d.x, y: d.y };
    });
    return { bound, buffers };
  }

  run(externals: readonly DeviceBuffer[], arena: DeviceBuffer | null): void {
    const scratch = this.allocateScratch();
    const { bound } = this.bind(externals, arena, scratch);
    this.submit(bound);
    if (scratch) this.backend.pool.release(scratch);
  }

  private allocateScratch(): WebGpuBuffer | null {
    return this.scratchBytes > 0 ? this.backend.pool.allocate(this.scratchBytes) : null;
  }

  private submit(bound: readonly BoundDispatch[]): void {
    if (bound.length > 0) {
      const pass = this.backend.commands().beginComputePass();
      encode(pass, bound, 0, bound.length);
      pass.end();
    }
    this.backend.flush();
  }

  record(externals: readonly DeviceBuffer[], arena: DeviceBuffer | null): Recording {
    const scratch = this.allocateScratch();
    const { bound, buffers } = this.bind(externals, arena, scratch);
    let disposed = false;
    return {
      replay: () => {
        if (disposed) throw new DeviceError('webgpu: a recording was replayed after it was disposed');
        this.backend.check();
        for (let i = 0; i < buffers.length; i++) if (buffers[i].freed) throw new DeviceError(`webgpu: buffer ${i} of a recording was freed`);
        this.submit(bound);
      },
      dispose: () => {
        if (disposed) return;
        disposed = true;
        if (scratch) this.backend.pool.release(scratch);
      },
    };
  }

  describe(): readonly StepDescription[] {
    return this.descriptions;
  }

  /** With a timestamp on both sides of every step. */
  private async measure(externals: readonly DeviceBuffer[], arena: DeviceBuffer | null): Promise<readonly number[]> {
    const scratch = this.allocateScratch();
    const { bound } = this.bind(externals, arena, scratch);
    const times = await new Profiler(this.backend).measure(bound, this.program.steps.length);
    if (scratch) this.backend.pool.release(scratch);
    return times;
  }
}

/** The same memory is bound once: two bindings of it would overlap, which is forbidden where one of them may be written. */
function merged(pass: Pass): Pass {
  const kept: PassBinding[] = [];
  let { body, declarations = '' } = pass;
  for (const b of pass.bindings) {
    const same = kept.findIndex((k) => JSON.stringify(k.resource) === JSON.stringify(b.resource));
    if (same < 0) {
      kept.push(b);
      continue;
    }
    const first = kept[same];
    if (first.type !== b.type) throw new DeviceError(`webgpu: ${pass.label} reads the same memory as ${first.type} and as ${b.type}`);
    kept[same] = { ...first, writes: first.writes || b.writes };
    // Not after a dot: that is a component of a vector.
    const name = new RegExp(`(?<!\\.)\\b${b.name}\\b`, 'g');
    body = body.replace(name, first.name);
    declarations = declarations.replace(name, first.name);
  }
  return kept.length === pass.bindings.length ? pass : { ...pass, bindings: kept, body, declarations };
}
