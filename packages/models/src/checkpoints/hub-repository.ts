import { CheckpointError } from './checkpoint-error';
import type { HubOptions } from './hub-options';

type Hub = typeof import('@huggingface/hub');

/** What a revision stands for now. */
export interface Revision {
  /** 40 hex digits. */
  readonly commit: string;
  readonly files: readonly string[];
}

/** A file's content by name: of large files its SHA-256, else its Git blob's SHA-1. */
export interface HubFile {
  readonly etag: string;
  readonly bytes: number;
}

/** One repository of the hub, over the hub's library, which is loaded when it is first needed. */
export class HubRepository {
  private revision: Promise<Revision> | null = null;

  constructor(
    readonly id: string,
    private readonly options: HubOptions & { readonly revision: string },
  ) {}

  /** Asks once. @throws CheckpointError */
  describe(): Promise<Revision> {
    this.revision ??= this.ask(async (hub, access) => {
      const { revision } = this.options;
      const additionalFields = ['sha', 'filePaths'] as ('sha' | 'filePaths')[];
      const { sha, filePaths } = await hub.modelInfo({ ...access, name: this.id, revision, additionalFields });
      if (typeof sha !== 'string' || !/^[0-9a-f]{40}$/.test(sha))
        throw new Error(`the hub gives commit ${String(sha)}`);
      return { commit: sha, files: filePaths ?? [] };
    });
    return this.revision;
  }

  async file(path: string): Promise<HubFile> {
    const { commit } = await this.describe();
    return this.ask(async (hub, access) => {
      const [info] = await hub.pathsInfo({ ...access, repo: this.repo, paths: [path], revision: commit, expand: true });
      const etag = info?.lfs?.oid ?? info?.oid;
      if (info === undefined || etag === undefined || !/^[0-9a-f]{40,64}$/.test(etag))
        throw new Error(`the hub does not say what ${path} is`);
      return { etag, bytes: info.lfs?.size ?? info.size };
    });
  }

  /** The content, of which ranges can be read; nothing is fetched yet but its size. */
  async open(path: string): Promise<Blob> {
    const { commit } = await this.describe();
    return this.ask(async (hub, access) => {
      const blob = await hub.downloadFile({ ...access, repo: this.repo, path, revision: commit });
      if (blob === null) throw new Error(`there is no ${path}`);
      return blob;
    });
  }

  private get repo(): { type: 'model'; name: string } {
    return { type: 'model', name: this.id };
  }

  private async ask<T>(question: (hub: Hub, access: Access) => Promise<T>): Promise<T> {
    const { signal } = this.options;
    signal?.throwIfAborted();
    const hub = await import('@huggingface/hub');
    try {
      return await question(hub, this.access());
    } catch (cause) {
      signal?.throwIfAborted();
      const at = `${this.id} (${this.options.revision})`;
      throw new CheckpointError(`hub: ${at}: ${(cause as Error).message}`, { cause });
    }
  }

  private access(): Access {
    const { accessToken, signal, fetch = globalThis.fetch } = this.options;
    const env = (globalThis as { process?: { env: Record<string, string | undefined> } }).process?.env;
    const hubUrl = (this.options.hubUrl ?? env?.HF_ENDPOINT)?.replace(/\/+$/, '');
    return {
      ...(hubUrl === undefined ? {} : { hubUrl }),
      ...(accessToken === undefined ? {} : { accessToken }),
      fetch: signal === undefined ? fetch : (url, init) => fetch(url, { ...init, signal }),
    };
  }
}

interface Access {
  readonly hubUrl?: string;
  readonly accessToken?: string;
  readonly fetch: typeof globalThis.fetch;
}
