import { library } from '@mamba-ts/tsup-preset';

export default library({ subpaths: ['driver'], programs: ['self-check'] });
