import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A hub on this machine with one repository, `owner/name`, that answers as the public one does. */
export interface HubServer {
  readonly url: string;
  /** What was asked for so far: `GET resolve model.safetensors bytes=0-0`. */
  readonly requests: string[];
  readonly commit: string;
  /** Breaks the next download of content off after this many bytes. */
  breakAfter: number | null;
  /** Sends this in place of a file's content. */
  readonly spoiled: Map<string, Uint8Array>;
  close(): Promise<void>;
}

export async function startHub(files: ReadonlyMap<string, Uint8Array>): Promise<HubServer> {
  const commit = createHash('sha1').update('a commit').digest('hex');
  const requests: string[] = [];
  const spoiled = new Map<string, Uint8Array>();
  const hub = { requests, commit, spoiled, breakAfter: null as number | null };

  const answer = (response: ServerResponse, value: unknown, status = 200): void => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(value));
  };
  const info = (path: string, bytes: Uint8Array): object => {
    const git = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    // Weights are large files: they have a SHA-256; the Git blob is a pointer.
    const lfs = /\.(safetensors|bin)$/.test(path) ? { lfs: { oid: sha256, size: bytes.length, pointerSize: 134 } } : {};
    return { path, type: 'file', oid: git, size: bytes.length, ...lfs, lastCommit: { id: commit, title: '', date: 0 } };
  };
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname } = new URL(request.url!, 'http://localhost');
    const range = request.headers.range;
    const [, revision, file] = /^\/owner\/name\/resolve\/([^/]+)\/(.+)$/.exec(pathname) ?? [];
    if (pathname === '/api/models/owner/name/revision/main' || pathname.endsWith(`/revision/${commit}`)) {
      requests.push('GET revision');
      answer(response, {
        _id: '1',
        id: 'owner/name',
        sha: commit,
        siblings: [...files.keys()].map((rfilename) => ({ rfilename })),
      });
    } else if (pathname === `/api/models/owner/name/paths-info/${commit}`) {
      let body = '';
      for await (const piece of request) body += String(piece);
      const { paths } = JSON.parse(body) as { paths: string[] };
      requests.push(`POST paths-info ${paths.join()}`);
      answer(
        response,
        paths.flatMap((path) => (files.has(path) ? [info(path, files.get(path)!)] : [])),
      );
    } else if (file !== undefined && revision === commit && files.has(file)) {
      requests.push(`GET resolve ${file} ${range ?? ''}`.trim());
      const content = spoiled.get(file) ?? files.get(file)!;
      const [from, to] = /^bytes=(\d+)-(\d+)$/
        .exec(range ?? '')
        ?.slice(1)
        .map(Number) ?? [0, content.length - 1];
      const part = content.subarray(from, to + 1);
      response.writeHead(range === undefined ? 200 : 206, {
        ...{ etag: '"x"', 'content-length': part.length },
        ...(range === undefined ? {} : { 'content-range': `bytes ${from}-${to}/${content.length}` }),
      });
      if (hub.breakAfter !== null && part.length > hub.breakAfter) {
        response.write(part.subarray(0, hub.breakAfter), () => response.destroy());
        hub.breakAfter = null;
      } else response.end(part);
    } else answer(response, { error: 'Repository not found' }, 404);
  };
  const server: Server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(hub, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}
