import * as vitest from 'vitest';
import { cpu } from '@mamba-ts/tensor';
import { testBackend } from '@mamba-ts/tensor/conformance';

testBackend(vitest, 'cpu, two threads', () => cpu({ threads: 2 }));
testBackend(vitest, 'cpu, one thread, unshared memory, no relaxed SIMD', () => cpu({ threads: 1, relaxed: false }));
