import type { SafetensorsDtype } from '../../safetensors/dtype';
import { quote } from '../../safetensors/error';
import { TorchFileError } from '../error';

/* The closed list of names that a pickle may refer to. None is looked up anywhere: each stands for code of this package. */

/** Typed storages, and what their elements are. */
export const storageTypes: Readonly<Record<string, SafetensorsDtype>> = {
  'torch.FloatStorage': 'F32',
  'torch.DoubleStorage': 'F64',
  'torch.HalfStorage': 'F16',
  'torch.BFloat16Storage': 'BF16',
  'torch.LongStorage': 'I64',
  'torch.IntStorage': 'I32',
  'torch.ShortStorage': 'I16',
  'torch.CharStorage': 'I8',
  'torch.ByteStorage': 'U8',
  'torch.BoolStorage': 'BOOL',
};

/** Bytes without a type; the tensor of such a storage names its dtype. */
export const untypedStorage = 'torch.storage.UntypedStorage';

export const dtypeNames: Readonly<Record<string, SafetensorsDtype>> = {
  'torch.float32': 'F32',
  'torch.float64': 'F64',
  'torch.float16': 'F16',
  'torch.bfloat16': 'BF16',
  'torch.float8_e4m3fn': 'F8_E4M3',
  'torch.float8_e5m2': 'F8_E5M2',
  'torch.int64': 'I64',
  'torch.int32': 'I32',
  'torch.int16': 'I16',
  'torch.int8': 'I8',
  'torch.uint8': 'U8',
  'torch.uint16': 'U16',
  'torch.uint32': 'U32',
  'torch.uint64': 'U64',
  'torch.bool': 'BOOL',
};

/** What `REDUCE` may name; `machine.ts` says what each does. */
export const functionNames = {
  orderedDict: 'collections.OrderedDict',
  tensor: 'torch._utils._rebuild_tensor',
  tensorV2: 'torch._utils._rebuild_tensor_v2',
  tensorV3: 'torch._utils._rebuild_tensor_v3',
  parameter: 'torch._utils._rebuild_parameter',
  size: 'torch.Size',
} as const;

const functions: ReadonlySet<string> = new Set(Object.values(functionNames));

/** Known, and their numbers have no type here. */
const unsupported =
  /^torch\.(Complex(Float|Double|Half)Storage|Q(U?Int8|Int32|UInt4x2|UInt2x4)Storage|complex(32|64|128)|float8_e\w+)$/;

/** @throws TorchFileError for every name that is not in this file. */
export function checkGlobal(module: string, name: string): string {
  const path = `${module}.${name}`;
  const known =
    functions.has(path) ||
    Object.hasOwn(storageTypes, path) ||
    Object.hasOwn(dtypeNames, path) ||
    path === untypedStorage;
  if (known) return path;
  if (unsupported.test(path)) {
    throw new TorchFileError('unsupported-dtype', `pickle holds numbers of ${path}, which have no type here`);
  }
  throw new TorchFileError(
    'forbidden-global',
    `pickle names ${quote(module)} ${quote(name)}, which no state dict needs; nothing was run`,
  );
}
