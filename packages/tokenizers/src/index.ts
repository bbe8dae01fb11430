export { type BpeOptions, BpeTokenizer } from './bpe/bpe-tokenizer';
export { ByteTokenizer } from './byte-tokenizer';
export { TokenizerError, type TokenizerErrorCode } from './error';
export { StreamDecoder } from './stream-decoder';
export type { DecodeOptions, EncodeOptions, Tokenizer } from './tokenizer';
