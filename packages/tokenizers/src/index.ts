export { type BpeOptions, BpeTokenizer, type Gpt2Options, gpt2Tokenizer } from './bpe';
export { ByteTokenizer } from './bytes';
export type { Codec } from './codec';
export { type DnaOptions, DnaTokenizer, reverseComplement } from './dna';
export { TokenizerError, type TokenizerErrorCode } from './error';
export { MuLaw, muLawSilence, scaleClip } from './mu-law';
export { StreamDecoder } from './stream-decoder';
export type { DecodeOptions, EncodeOptions, Tokenizer } from './tokenizer';
