import { packageTests } from '@mamba-ts/vitest-preset';

export default packageTests('backend-webgpu');
