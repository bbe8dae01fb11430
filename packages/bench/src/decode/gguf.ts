import { open } from 'node:fs/promises';

/** Sizes of a Mamba-1 model. */
export interface MambaSizes {
  readonly dModel: number;
  readonly nLayer: number;
  readonly vocabSize: number;
  readonly dInner: number;
  readonly dState: number;
  readonly dtRank: number;
  readonly dConv: number;
}

/** GGUF's numbers of element types, and the bits of a number in ±[2^-6, 2^-5): its sign and fraction are those of a random number. */
const types = {
  float32: { id: 0, file: 0, mask: 0x807fffff, exponent: 0x3c800000 },
  float16: { id: 1, file: 1, mask: 0x83ff, exponent: 0x2400 },
  bfloat16: { id: 30, file: 32, mask: 0x807f, exponent: 0x3c80 },
} as const;
const alignment = 32;

/** Bytes in little-endian order, one value after the other. */
class Writer {
  private readonly parts: Uint8Array[] = [];
  length = 0;

  bytes(part: Uint8Array): this {
    this.parts.push(part);
    this.length += part.length;
    return this;
  }

  u32 = (...values: number[]): this => this.bytes(new Uint8Array(Uint32Array.from(values).buffer));
  u64 = (value: number): this => this.bytes(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  f32 = (value: number): this => this.bytes(new Uint8Array(Float32Array.of(value).buffer));
  text(value: string): this {
    const utf8 = new TextEncoder().encode(value);
    return this.u64(utf8.length).bytes(utf8);
  }

  all = (): Uint8Array => Buffer.concat(this.parts);
}

/**
 * A Mamba-1 checkpoint of random weights in llama.cpp's format: matrices and the table in `dtype`, the rest in float32, and a vocabulary of made-up
 * tokens. Good for measuring time, which does not depend on the values.
 */
export async function writeRandomGguf(path: string, sizes: MambaSizes, dtype: keyof typeof types): Promise<void> {
  const { dModel, nLayer, vocabSize, dInner, dState, dtRank, dConv } = sizes;
  // Name, rows, columns; vectors have one row.
  const matrices: [string, number, number][] = [['token_embd.weight', vocabSize, dModel]];
  const vectors: [string, number, number][] = [['output_norm.weight', 1, dModel]];
  for (let i = 0; i < nLayer; i++) {
    const name = (part: string): string => `blk.${i}.${part}`;
    matrices.push([name('ssm_in.weight'), 2 * dInner, dModel], [name('ssm_x.weight'), dtRank + 2 * dState, dInner]);
    matrices.push([name('ssm_dt.weight'), dInner, dtRank], [name('ssm_out.weight'), dModel, dInner]);
    vectors.push(
      [name('attn_norm.weight'), 1, dModel],
      [name('ssm_conv1d.weight'), dInner, dConv],
      [name('ssm_conv1d.bias'), 1, dInner],
    );
    vectors.push([name('ssm_dt.bias'), 1, dInner], [name('ssm_a'), dInner, dState], [name('ssm_d'), 1, dInner]);
  }
  const tensors = [
    ...matrices.map(([name, rows, columns]) => ({
      name,
      rows,
      columns,
      type: types[dtype],
      width: dtype === 'float32' ? 4 : 2,
    })),
    ...vectors.map(([name, rows, columns]) => ({ name, rows, columns, type: types.float32, width: 4 })),
  ];

  const settings = new Writer();
  let count = 0;
  const setting = (key: string, type: number): Writer => {
    count++;
    return settings.text(key).u32(type);
  };
  const number = (key: string, value: number): Writer => setting(key, 4).u32(value);
  setting('general.architecture', 8).text('mamba');
  number('general.file_type', types[dtype].file);
  const shape = {
    context_length: 2 ** 20,
    embedding_length: dModel,
    feed_forward_length: 0,
    block_count: nLayer,
    'attention.head_count': 0,
  };
  const ssm = { conv_kernel: dConv, inner_size: dInner, state_size: dState, time_step_rank: dtRank };
  for (const [key, value] of Object.entries(shape)) number(`mamba.${key}`, value);
  for (const [key, value] of Object.entries(ssm)) number(`mamba.ssm.${key}`, value);
  setting('mamba.attention.layer_norm_rms_epsilon', 6).f32(1e-5);
  setting('tokenizer.ggml.model', 8).text('gpt2');
  setting('tokenizer.ggml.tokens', 9).u32(8).u64(vocabSize);
  for (let i = 0; i < vocabSize; i++) settings.text(`t${i}`);
  setting('tokenizer.ggml.token_type', 9).u32(5).u64(vocabSize);
  settings.bytes(new Uint8Array(new Int32Array(vocabSize).fill(1).buffer));
  setting('tokenizer.ggml.merges', 9).u32(8).u64(1).text('t 1');
  for (const role of ['bos', 'eos', 'unknown']) number(`tokenizer.ggml.${role}_token_id`, 0);

  const header = new Writer().u32(0x46554747, 3).u64(tensors.length).u64(count).bytes(settings.all());
  let offset = 0;
  for (const { name, rows, columns, type, width } of tensors) {
    header.text(name);
    if (rows === 1) header.u32(1).u64(columns);
    else header.u32(2).u64(columns).u64(rows);
    header.u32(type.id).u64(offset);
    offset += padded(rows * columns * width);
  }
  const file = await open(path, 'w');
  try {
    await file.writeFile(header.all());
    await file.writeFile(new Uint8Array(padded(header.length) - header.length));
    for (const { name, rows, columns, type, width } of tensors)
      await file.writeFile(randomNumbers(name, rows * columns, width, type));
  } finally {
    await file.close();
  }
}

const padded = (bytes: number): number => Math.ceil(bytes / alignment) * alignment;

/** Random numbers with the given exponent; decays are negative, so that states stay bounded. */
function randomNumbers(
  name: string,
  count: number,
  width: number,
  { mask, exponent }: { mask: number; exponent: number },
): Uint8Array {
  const bytes = new Uint8Array(padded(count * width));
  const elements = width === 4 ? new Uint32Array(bytes.buffer) : new Uint16Array(bytes.buffer);
  const sign = name.endsWith('ssm_a') ? 0x80000000 : 0;
  let state = 0x9e3779b9 ^ count;
  for (let i = 0; i < count; i++) {
    // xorshift
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    elements[i] = (state & mask) | exponent | sign;
  }
  return bytes;
}
