import { library } from '@mamba-ts/tsup-preset';

export default library({ subpaths: ['safetensors', 'torch'] });
