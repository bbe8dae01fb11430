/** How far loading has come. */
export interface LoadProgress {
  /** `download`: bytes of one file; `load`: tensors of the model. */
  readonly stage: 'download' | 'load';
  /** The file, or the tensor, in hand. */
  readonly name: string;
  readonly done: number;
  readonly total: number;
}

/** How a repository of the Hugging Face hub is reached. */
export interface HubOptions {
  /** Branch, tag or commit. Default `main`. */
  readonly revision?: string;
  /** Default: the cache that the hub's own libraries share (`HF_HUB_CACHE`, `HF_HOME`, ~/.cache/huggingface/hub). */
  readonly cacheDir?: string;
  /** Only what is in the cache. Default: whether `HF_HUB_OFFLINE` is set. */
  readonly offline?: boolean;
  /** For private repositories: `hf_…`. */
  readonly accessToken?: string;
  /** Another hub. Default: `HF_ENDPOINT`, or the public one. */
  readonly hubUrl?: string;
  /** Called as files arrive and as tensors are loaded. */
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Ends loading: the promise rejects with its reason. What was downloaded stays, and is gone on with next time. */
  readonly signal?: AbortSignal;
  /** In place of the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch;
}
