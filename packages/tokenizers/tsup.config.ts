import { library } from '@mamba-ts/tsup-preset';

export default library({ subpaths: ['bpe', 'bytes', 'dna', 'mu-law', 'stream-decoder'] });
