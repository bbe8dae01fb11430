import { checkText, TokenTable, utf8Decoder } from './byte-strings';
import { TokenizerError } from './error';
import type { DecodeOptions, EncodeOptions, Tokenizer } from './tokenizer';

const special = ['[CLS]', '[SEP]', '[BOS]', '[MASK]', '[PAD]', '[RESERVED]', '[UNK]'] as const;
const bases = 'ACGTN';
const idOf = (name: (typeof special)[number]): number => special.indexOf(name);

/** The codes of IUPAC that name several bases. */
const ambiguityCodes: ReadonlySet<string> = new Set('RYSWKMBDHV');

export interface DnaOptions {
  /**
   * How letters are read that the models were not trained on. `as-is` (default, HyenaDNA's): A, C, G, T and N only, everything else is unknown.
   * `genome`: lower case, which marks repeats in genome files, is read as upper case, U as T, and IUPAC's codes for several bases as N.
   */
  readonly letters?: 'as-is' | 'genome';
}

/**
 * DNA by single bases with HyenaDNA's table (arXiv 2306.15794): seven special tokens, A 7, C 8, G 9, T 10, and N 11 for a base that is not known.
 * `encode` ends with [SEP] unless `addSpecialTokens` is false; what is no base becomes [UNK].
 */
export class DnaTokenizer implements Tokenizer {
  readonly vocabSize: number = special.length + bases.length;
  readonly specialTokens: ReadonlyMap<string, number> = new Map(special.map((name, id) => [name, id]));
  readonly bosId: number = idOf('[BOS]');
  readonly eosId: number = idOf('[SEP]');
  readonly padId: number = idOf('[PAD]');
  private readonly tokens: TokenTable = new TokenTable(
    new Map([...special, ...bases].map((content, id) => [id, new TextEncoder().encode(content)])),
  );
  private readonly ids: ReadonlyMap<string, number>;

  constructor({ letters = 'as-is' }: DnaOptions = {}) {
    if (letters !== 'as-is' && letters !== 'genome') {
      throw new TokenizerError('invalid-argument', `letters is ${JSON.stringify(letters)}, expected as-is or genome`);
    }
    const ids = new Map([...bases].map((base, i): [string, number] => [base, special.length + i]));
    if (letters === 'genome') {
      ids.set('U', ids.get('T')!);
      for (const code of ambiguityCodes) ids.set(code, ids.get('N')!);
      for (const [letter, id] of [...ids]) ids.set(letter.toLowerCase(), id);
    }
    this.ids = ids;
  }

  encode(text: string, { addSpecialTokens = true }: EncodeOptions = {}): Int32Array {
    checkText(text);
    // By code point: what is outside the alphabet is one unknown letter, not two.
    const ids = Array.from(text, (letter) => this.ids.get(letter) ?? idOf('[UNK]'));
    if (addSpecialTokens) ids.push(this.eosId);
    return Int32Array.from(ids);
  }

  decode(ids: ArrayLike<number>, { skipSpecialTokens = false }: DecodeOptions = {}): string {
    const bytes = this.tokens.concatenate(ids);
    if (!skipSpecialTokens) return utf8Decoder().decode(bytes);
    return utf8Decoder().decode(this.tokens.concatenate(Array.from(ids).filter((id) => id >= special.length)));
  }

  tokenBytes(id: number): Uint8Array {
    return this.tokens.get(id);
  }

  isSpecial(id: number): boolean {
    this.tokens.get(id);
    return id < special.length;
  }

  /**
   * `ids` behind so many [PAD] that there are `length`, as HyenaDNA's batches are filled.
   *
   * @throws TokenizerError `invalid-argument` if there are more already
   */
  padLeft(ids: ArrayLike<number>, length: number): Int32Array {
    if (!Number.isInteger(length) || length < ids.length) {
      throw new TokenizerError('invalid-argument', `length is ${length}, expected an integer of at least the ${ids.length} ids`);
    }
    const padded = new Int32Array(length).fill(this.padId);
    padded.set(Array.from(ids), length - ids.length);
    return padded;
  }
}

const complements: Readonly<Record<string, string>> = { A: 'T', T: 'A', C: 'G', G: 'C', a: 't', t: 'a', c: 'g', g: 'c' };

/** The other strand, read in its own direction: reversed, A and T swapped, C and G swapped; other letters stay. */
export function reverseComplement(sequence: string): string {
  checkText(sequence);
  return Array.from(sequence, (letter) => complements[letter] ?? letter)
    .reverse()
    .join('');
}
