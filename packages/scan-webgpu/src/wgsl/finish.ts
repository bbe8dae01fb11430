import { type ScanKernel, type TensorName } from '../types';
import { assembleKernel } from './bindings';
import { mainHead } from './job';
import { elementCode, elementwiseSize } from './summary';
import { type Variant, width } from './variant';

/** A copy of inputs, of `elements` float32 each, to the scratch buffer: for devices that bind few buffers at once. */
export function packKernel(
  variant: Variant,
  inputs: readonly { readonly name: TensorName; readonly elements: number; readonly offset: number }[],
): Pick<ScanKernel, 'label' | 'code' | 'buffers'> {
  let first = 0;
  const copies = inputs.map(({ name, elements, offset }) => {
    const value = name === 'resets' ? '1.0 - load_resets(i)' : `load_${name}(i)`;
    const code = `if (element < ${first + elements}u) { let i = element - ${first}u; store_scratch(${offset}u + i, ${value}); return; }`;
    first += elements;
    return code;
  });
  return assembleKernel(
    { ...variant, packed: new Set() },
    {
      label: `pack ${inputs.map(({ name }) => name).join(', ')}`,
      reads: inputs.map(({ name }) => name),
      writes: [],
      scratch: true,
      states: false,
      body: `${mainHead(elementwiseSize)}
  ${elementCode(`${first}u`)}
  ${copies.join('\n  ')}
}
`,
    },
  );
}

/** Sums `sumRows` records at a time: the first of two rounds where there are many. */
export function partialSumKernel(variant: Variant): Pick<ScanKernel, 'label' | 'code' | 'buffers'> {
  return assembleKernel(variant, {
    label: 'sums over groups of chunks',
    reads: [],
    writes: [],
    scratch: true,
    states: false,
    body: `${mainHead(elementwiseSize)}
  ${elementCode('params.sumGroups * params.sumWidth')}
  let column = element % params.sumWidth;
  let firstRow = (element / params.sumWidth) * params.sumRows;
  let endRow = min(firstRow + params.sumRows, params.batch * params.chunks);
  var sum = 0.0;
  for (var row = firstRow; row < endRow; row++) { sum += load_scratch(params.records + row * params.recordStride + column); }
  store_scratch(params.sums + element, sum);
}
`,
  });
}

/**
 * Last sums of dA, dD, d deltaBias and constant dB, dC over the records (or their partial sums), of variable dB, dC
 * over the slots, each in the order of rows.
 */
export function finishKernel(variant: Variant, twoRounds: boolean): Pick<ScanKernel, 'label' | 'code' | 'buffers'> {
  const { variableB, variableC, D, deltaBias, dState } = variant;
  const coefficients = `params.channels * ${dState * width(variant)}u`;
  const rowsSize = `params.batch * params.length * params.groups * ${dState * width(variant)}u`;
  const records = twoRounds
    ? { start: 'params.sums', rows: 'params.sumGroups', stride: 'params.sumWidth' }
    : { start: 'params.records', rows: 'params.batch * params.chunks', stride: 'params.recordStride' };
  const segments: { name: TensorName; size: string; start: string; rows: string; stride: string }[] = [
    { name: 'gradA', size: coefficients, ...records },
  ];
  const fromRecords = (name: TensorName, field: string, size: string): void => {
    segments.push({ name, size, ...records, start: `${records.start} + params.${field}` });
  };
  const fromSlots = (name: TensorName, part: string): void => {
    segments.push({ name, size: rowsSize, start: `params.${part}`, rows: 'params.slots', stride: rowsSize });
  };
  if (D) fromRecords('gradD', 'recordD', 'params.channels');
  if (deltaBias) fromRecords('gradDeltaBias', 'recordBias', 'params.channels');
  if (variableB) fromSlots('gradB', 'partB');
  else fromRecords('gradB', 'recordAdjoint', coefficients);
  if (variableC) fromSlots('gradC', 'partC');
  else fromRecords('gradC', 'recordC', coefficients);
  const writes = segments.map(
    ({ name, size, start, rows, stride }) => `
  if (i < ${size}) { store_${name}(i, columnSum(${start} + i, ${rows}, ${stride})); return; }
  i -= ${size};`,
  );
  return assembleKernel(variant, {
    label: 'last sums',
    reads: [],
    writes: segments.map(({ name }) => name),
    scratch: true,
    states: false,
    body: `
fn columnSum(start: u32, rows: u32, stride: u32) -> f32 {
  var sum = 0.0;
  for (var row = 0u; row < rows; row++) { sum += load_scratch(start + row * stride); }
  return sum;
}
${mainHead(elementwiseSize)}
  ${elementCode(segments.map(({ size }) => size).join(' + '))}
  var i = element;
  ${writes.join('')}
}
`,
  });
}

/** Invocations of the finish kernel. */
export function finishElements(variant: Variant, sizes: { coefficients: number; channels: number; rows: number }): number {
  return (
    sizes.coefficients +
    (variant.D ? sizes.channels : 0) +
    (variant.deltaBias ? sizes.channels : 0) +
    (variant.variableB ? sizes.rows : sizes.coefficients) +
    (variant.variableC ? sizes.rows : sizes.coefficients)
  );
}
