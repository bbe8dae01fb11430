export { type BpeOptions, BpeTokenizer } from './bpe-tokenizer';
export { type Gpt2Options, gpt2Tokenizer } from './gpt2-files';
