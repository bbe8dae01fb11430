import { library } from '@mamba-ts/tsup-preset';

export default library({ subpaths: ['bench'], programs: ['self-check'] });
