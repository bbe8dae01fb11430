import { DeviceError, type RoutineCall } from '@mamba-ts/tensor';
import { deviceLimits, type OptionalArray, planScan, type ScanArray, type ScanBuffers, scanBytes, type ScanPass, type ScanPlan } from '@mamba-ts/scan-webgpu';
import type { ScanShape } from '@mamba-ts/scan';
import type { NativeOperand, NativeWork, Pass, Resource } from '../pass';
import { align256, type Capabilities, inputSpec, type StepMemory, type WebGpuRoutine } from '../routine';

/** Names of the operands of a call, in its order, as the scan's plans name them. */
interface Signature {
  readonly pass: ScanPass;
  readonly inputs: readonly ScanArray[];
  readonly outputs: readonly ScanArray[];
}

const scanInputs = ['u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias', 'initialState', 'resets'] as const;

const forward: Signature = { pass: 'forward', inputs: scanInputs, outputs: ['y', 'lastState', 'checkpoints'] };
const step: Signature = { pass: 'step', inputs: ['initialState', 'u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias'], outputs: ['y', 'lastState'] };
const backward: Signature = {
  pass: 'backward',
  inputs: ['gradY', 'gradLastState', ...scanInputs, 'checkpoints'],
  outputs: ['gradU', 'gradDelta', 'gradA', 'gradB', 'gradC', 'gradD', 'gradZ', 'gradDeltaBias', 'gradInitialState'],
};

const optional: readonly OptionalArray[] = ['D', 'z', 'deltaBias', 'initialState', 'resets', 'gradLastState'];

function shapeOf(call: RoutineCall, { inputs, pass }: Signature): ScanShape {
  const u = inputSpec(call, inputs.indexOf('u')).shape;
  const A = inputSpec(call, inputs.indexOf('A')).shape;
  const { groups, complex, variableB, variableC } = call.attributes;
  return {
    batch: u[0],
    length: pass === 'step' ? 1 : u[1],
    channels: A[0],
    dState: A[1],
    groups: Number(groups),
    complex: Boolean(complex),
    variableB: Boolean(variableB),
    variableC: Boolean(variableC),
  };
}

/** Does the call leave checkpoints, or take them? Only where its passes are a pair (`Backend.scanCheckpoints`). */
function hasCheckpoints(call: RoutineCall, { inputs, outputs }: Signature): boolean {
  return Boolean(call.inputs[inputs.indexOf('checkpoints')] ?? call.outputs[outputs.indexOf('checkpoints')]);
}

interface PlanWishes {
  readonly oneBuffer: boolean;
  readonly inPlace?: boolean;
  readonly checkpoints?: boolean;
}

function planOf(call: RoutineCall, signature: Signature, capabilities: Capabilities, wishes: PlanWishes): ScanPlan {
  const { oneBuffer, inPlace = false, checkpoints = hasCheckpoints(call, signature) } = wishes;
  const given = signature.inputs.filter((_, i) => call.inputs[i]);
  const arrays: OptionalArray[] = optional.filter((name) => given.includes(name) && !(inPlace && name === 'initialState'));
  if (signature.pass === 'backward') {
    if (given.includes('initialState')) arrays.push('gradInitialState');
  } else arrays.push('lastState');
  const limits = { ...deviceLimits(capabilities.gpu), software: capabilities.software };
  const deltaSoftplus = Boolean(call.attributes.deltaSoftplus);
  return planScan(shapeOf(call, signature), { pass: signature.pass, arrays, deltaSoftplus, checkpoints, oneBuffer, limits });
}

/** A scan of @mamba-ts/scan-webgpu as a routine. */
function scanRoutine(signature: Signature): WebGpuRoutine {
  const refuses = (call: RoutineCall, capabilities: Capabilities, checkpoints?: boolean): string | null => {
    if (inputSpec(call, signature.inputs.indexOf('u')).shape.includes(0)) return 'a scan of no elements';
    try {
      planOf(call, signature, capabilities, { oneBuffer: true, checkpoints });
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  };
  return {
    refuses: (call, capabilities) => refuses(call, capabilities),
    // None where they are larger than a binding may be.
    checkpoints: (call, capabilities) => {
      if (signature.pass !== 'forward' || refuses(call, capabilities, true) !== null) return 0;
      return planOf(call, signature, capabilities, { oneBuffer: true, checkpoints: true }).checkpointBytes / 4;
    },
    scratchBytes: (call, capabilities) => planOf(call, signature, capabilities, { oneBuffer: true }).scratchBytes,
    passes(call, memory, capabilities) {
      const scan = new ScanStep(call, signature, memory, capabilities);
      return [...scan.before, scan.work(), ...scan.after];
    },
  };
}

/** One scan over the memory of a step. */
class ScanStep {
  /** Copies of inputs whose memory another input has too: two bindings of it would overlap. */
  readonly before: Pass[] = [];
  /** Copies of results into variables, made only if no fault was met. */
  readonly after: Pass[] = [];
  private readonly operands: NativeOperand[] = [];
  private readonly inPlace: boolean;
  private ownBytes = 0;

  constructor(
    private readonly call: RoutineCall,
    private readonly signature: Signature,
    private readonly memory: StepMemory,
    private readonly capabilities: Capabilities,
  ) {
    const state = signature.inputs.indexOf('initialState');
    const next = signature.outputs.indexOf('lastState');
    this.inPlace = signature.pass === 'step' && memory.inputSlot(state) === memory.outputSlot(next) && !memory.isGuarded(memory.outputSlot(next));
    // Sizes don't depend on which buffers are shared.
    const plan = planOf(call, signature, capabilities, { oneBuffer: true, inPlace: this.inPlace });
    const bound = new Set<number>();
    signature.inputs.forEach((name, i) => {
      const slot = memory.inputSlot(i);
      if (slot === null || !plan.arrays.includes(name)) return;
      const resource = memory.input(i, name, 'u32').resource;
      this.operands.push({ name, resource: bound.has(slot) ? this.copyIn(name, resource, scanBytes(plan, name)) : resource, writes: false });
      bound.add(slot);
    });
    signature.outputs.forEach((name, i) => {
      if (!plan.arrays.includes(name)) return;
      const { resource } = memory.output(i, name, 'u32');
      const guarded = memory.isGuarded(memory.outputSlot(i));
      this.operands.push({ name, resource: guarded ? this.copyOut(name, resource, scanBytes(plan, name)) : resource, writes: true });
    });
    if (plan.scratchBytes > 0) this.operands.push({ name: 'scratch', resource: memory.scratch('scratch', 'u32', 0, plan.scratchBytes, true).resource, writes: true });
  }

  work(): NativeWork {
    const { operands, memory, capabilities } = this;
    const places = operands.map((o) => memory.bufferOf(o.resource));
    const oneBuffer = operands.some((o, i) => o.writes && places.some((p, j) => j !== i && p === places[i]));
    const plan = planOf(this.call, this.signature, capabilities, { oneBuffer, inPlace: this.inPlace });
    const prepared = capabilities.scan.prepare(plan);
    const leaves = plan.pass === 'forward' && plan.checkpointBytes > 0;
    return {
      kind: 'native',
      label: `wgsl ${this.call.name}: ${plan.explanation}${leaves ? '; leaves checkpoints' : ''}`,
      operands,
      bind: (buffers) => prepared.bind(Object.fromEntries(operands.map((o, i) => [o.name, buffers[i]])) as ScanBuffers),
    };
  }

  private own(bytes: number): Resource {
    const resource: Resource = { kind: 'scratch', offset: this.ownBytes, bytes };
    this.ownBytes += align256(bytes);
    return resource;
  }

  private copyIn(name: string, source: Resource, bytes: number): Resource {
    const own = this.own(bytes);
    this.before.push(copy(name, source, own, bytes));
    return own;
  }

  private copyOut(name: string, target: Resource, bytes: number): Resource {
    const own = this.own(bytes);
    this.after.push(copy(name, own, target, bytes));
    return own;
  }
}

function copy(name: string, source: Resource, target: Resource, bytes: number): Pass {
  const words = bytes / 4;
  if (!Number.isInteger(words)) throw new DeviceError(`webgpu: ${name} has ${bytes} bytes, expected whole words`);
  return {
    label: `copy of ${name}`,
    bindings: [{ name: 'source', type: 'u32', resource: source, writes: false }, { name: 'target_words', type: 'u32', resource: target, writes: true }],
    body: `  let at = group * 64u + lane;\n  if (at < ${words}u) { target_words[at] = source[at]; }`,
    workgroupSize: 64,
    workgroups: Math.ceil(words / 64),
  };
}

export const selectiveScan: WebGpuRoutine = scanRoutine(forward);
export const selectiveScanBackward: WebGpuRoutine = scanRoutine(backward);
export const stateUpdate: WebGpuRoutine = scanRoutine(step);
