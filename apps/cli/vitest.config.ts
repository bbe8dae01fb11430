import { packageTests } from '@mamba-ts/vitest-preset';

export default packageTests('cli');
