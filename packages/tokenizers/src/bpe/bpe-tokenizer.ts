import {
  ByteLevelPreTokenizer,
  type PreTokenizer,
  SequencePreTokenizer,
  Tokenizer as HuggingFaceTokenizer,
} from '@huggingface/tokenizers';
import { checkText, TokenTable, utf8Decoder } from '../byte-strings';
import { show, TokenizerError } from '../error';
import type { DecodeOptions, EncodeOptions, Tokenizer } from '../tokenizer';
import { bytesOfToken, gpt2Pattern } from './byte-level';
import { checkTokenizerJson } from './tokenizer-json';

/** What a tokenizer.json leaves open. */
export interface BpeOptions {
  /** Content of the begin-of-text token. */
  readonly bosToken?: string;
  /** Content of the end-of-text token: `<|endoftext|>` for GPT-NeoX, Pythia and Mamba. */
  readonly eosToken?: string;
  /** Content of the padding token. */
  readonly padToken?: string;
  /**
   * Whether regular expressions of the file that this package does not know may run; default false. One from a stranger
   * can take exponential time.
   */
  readonly trustPatterns?: boolean;
}

/**
 * Byte-level BPE from a Hugging Face `tokenizer.json`: GPT-2, GPT-NeoX (Pythia, Mamba), Llama 3, Qwen. Truncation and
 * padding that the file may ask for are not applied: `encode` gives the ids of the whole text.
 */
export class BpeTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly padId: number | undefined;
  private readonly tokens: TokenTable;
  private readonly specialIds: ReadonlySet<number>;
  private readonly encoder: HuggingFaceTokenizer;

  /**
   * @param json the text of a tokenizer.json, or the value parsed from it.
   * @throws TokenizerError `malformed` where the file contradicts itself, `unsupported` naming what this package does
   * not do (other models than BPE, other decoders than ByteLevel, ...), `limit`, `invalid-argument`.
   */
  constructor(json: unknown, options: BpeOptions = {}) {
    const checked = checkTokenizerJson(json, options.trustPatterns ?? false);
    try {
      this.encoder = new HuggingFaceTokenizer(checked, {});
    } catch (cause) {
      throw new TokenizerError('malformed', `tokenizer.json: ${show((cause as Error).message)}`, { cause });
    }
    useUnicodeWhiteSpace(this.encoder.pre_tokenizer);
    const tokens = new Map<number, Uint8Array>();
    for (const [token, id] of Object.entries(checked.model.vocab)) tokens.set(id, bytesOfToken(token));
    for (const { content, id } of checked.added_tokens) tokens.set(id, bytesOfToken(content));
    this.tokens = new TokenTable(tokens);
    this.vocabSize = this.tokens.size;
    const special = checked.added_tokens.filter((token) => token.special);
    this.specialTokens = new Map(special.map(({ content, id }) => [content, id]));
    this.specialIds = new Set(this.specialTokens.values());
    this.bosId = this.namedToken('bosToken', options.bosToken);
    this.eosId = this.namedToken('eosToken', options.eosToken);
    this.padId = this.namedToken('padToken', options.padToken);
  }

  encode(text: string, options: EncodeOptions = {}): Int32Array {
    checkText(text);
    // An unpaired surrogate has no UTF-8; it becomes U+FFFD here rather than at some later step.
    const { ids } = this.encoder.encode(text.toWellFormed(), { add_special_tokens: options.addSpecialTokens ?? true });
    return Int32Array.from(ids);
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const bytes = this.tokens.concatenate(ids);
    if (!(options.skipSpecialTokens ?? false)) return utf8Decoder().decode(bytes);
    const kept = Array.from(ids).filter((id) => !this.specialIds.has(id));
    return utf8Decoder().decode(this.tokens.concatenate(kept));
  }

  tokenBytes(id: number): Uint8Array {
    return this.tokens.get(id);
  }

  isSpecial(id: number): boolean {
    this.tokens.get(id);
    return this.specialIds.has(id);
  }

  /** The id of a token by its content as the vocabulary writes it; undefined where there is none. */
  tokenToId(token: string): number | undefined {
    return this.encoder.token_to_id(token);
  }

  private namedToken(option: string, content: string | undefined): number | undefined {
    if (content === undefined) return undefined;
    const id = this.tokenToId(content);
    if (id === undefined) {
      throw new TokenizerError('invalid-argument', `${option} is ${show(content)}, which is not in the vocabulary`);
    }
    return id;
  }
}

function useUnicodeWhiteSpace(step: PreTokenizer | null): void {
  if (step instanceof ByteLevelPreTokenizer) step.pattern = new RegExp(gpt2Pattern);
  if (step instanceof SequencePreTokenizer) for (const inner of step.tokenizers) useUnicodeWhiteSpace(inner);
}
