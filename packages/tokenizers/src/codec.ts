/**
 * Something that becomes a sequence of token ids, and back: text (`Tokenizer`), audio (`MuLaw`).
 *
 * What is read and what comes back may be written differently: audio is read from any array of numbers.
 */
export interface Codec<Input, Output = Input> {
  /** Every id is below this: the least number of rows of an embedding table. */
  readonly vocabSize: number;

  /** The ids of `input`, in order. */
  encode(input: Input): Int32Array;

  /** What `ids` stand for. @throws TokenizerError `invalid-id` for an id that is not an integer or that no token has. */
  decode(ids: ArrayLike<number>): Output;
}
