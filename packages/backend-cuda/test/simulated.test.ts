import * as vitest from 'vitest';
import { testBackend } from '@mamba-ts/tensor/conformance';
import { SimulatedBackend } from './simulated-backend';

// Launch groups, memory that the arena shares, printed kernels: all that is between the scheduler and the card, on machines without one.
vitest.vi.setConfig({ testTimeout: 120_000 });
testBackend(vitest, 'cuda without a card', () => SimulatedBackend.open());
