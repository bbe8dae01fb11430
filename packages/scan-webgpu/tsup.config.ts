import { library } from '@mamba-ts/tsup-preset';

export default library({ programs: ['self-check'] });
