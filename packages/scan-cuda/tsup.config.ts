import { library } from '@mamba-ts/tsup-preset';

export default library({ subpaths: ['driver', 'bench'], programs: ['self-check'] });
