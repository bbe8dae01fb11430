import { program } from '@mamba-ts/tsup-preset';

export default program();
