/** Classes of registers: float, 32-bit integer, 64-bit integer, predicate, 16-bit. */
export type RegisterClass = 'f' | 'r' | 'd' | 'p' | 'h';

const declared: Record<RegisterClass, string> = { f: '.f32', r: '.b32', d: '.b64', p: '.pred', h: '.b16' };

/** A register, or an immediate in its place. */
export type Operand = string;

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** A float32 immediate: `0f3F800000`. */
export function floatLiteral(value: number): Operand {
  float[0] = value;
  return `0f${bits[0].toString(16).toUpperCase().padStart(8, '0')}`;
}

/** The body of one PTX kernel while it is being written. */
export class PtxCode {
  private readonly lines: string[] = [];
  private readonly counts: Record<RegisterClass, number> = { f: 0, r: 0, d: 0, p: 0, h: 0 };
  private labels = 0;

  register(kind: RegisterClass): Operand {
    return `%${kind}${this.counts[kind]++}`;
  }

  /** `opcode result, …operands;` with a new register for the result. */
  op(kind: RegisterClass, opcode: string, ...operands: readonly (Operand | number)[]): Operand {
    const result = this.register(kind);
    this.lines.push(`\t${opcode} ${[result, ...operands].join(', ')};`);
    return result;
  }

  /** An instruction without a new result. `predicate` executes it conditionally (`%p1` or `!%p1`). */
  do(opcode: string, operands: readonly (Operand | number)[], predicate?: Operand | null): void {
    this.lines.push(`\t${predicate ? `@${predicate} ` : ''}${opcode}${operands.length > 0 ? ` ${operands.join(', ')}` : ''};`);
  }

  /** The driver layer knows some (scan-cuda, driver/overlap.ts). */
  comment(text: string): void {
    this.lines.push(`\t// ${text}`);
  }

  newLabel(): string {
    return `L${this.labels++}`;
  }

  label(name: string): void {
    this.lines.push(`${name}:`);
  }

  /** The entry with parameters p0, p1, … (addresses; p0 a list of them where `list` says so) and `sharedBytes` of shared memory named `shared`. */
  entry(name: string, parameters: number, list: number, threads: number, sharedBytes: number): string {
    const params = Array.from({ length: parameters }, (_, i) => (i === 0 && list > 0 ? `\t.param .align 8 .b8 p0[${8 * list}]` : `\t.param .u64 p${i}`)).join(',\n');
    const registers = (Object.keys(declared) as RegisterClass[])
      .filter((kind) => this.counts[kind] > 0)
      .map((kind) => `\t.reg ${declared[kind]} %${kind}<${this.counts[kind]}>;`);
    const shared = sharedBytes > 0 ? [`\t.shared .align 16 .b8 shared[${sharedBytes}];`] : [];
    return [`.visible .entry ${name}(`, params, ')', `.maxntid ${threads}, 1, 1`, '{', ...registers, ...shared, ...this.lines, '\tret;', '}', ''].join('\n');
  }
}

/**
 * What a module's text starts with: sm_80 runs on every later card, ISA 7.0 in every driver that knows sm_80. Drivers of cards that overlap
 * kernels know 7.8, which the driver layer needs to add the instructions for it.
 */
export function moduleHeader(computeCapability: readonly [major: number, minor: number]): string {
  return `.version ${computeCapability[0] >= 9 ? '7.8' : '7.0'}\n.target sm_80\n.address_size 64\n\n`;
}
