import { nodeModule } from '../machine';
import type { ReportDocument } from './document';
import { readableJson } from './readable-json';
import { renderReport } from './render';

export interface WrittenReport {
  /** Path of the HTML file. */
  readonly html: string;
  /** Path of the JSON file beside it. */
  readonly json: string;
}

/**
 * Writes `NAME.html` and, beside it, `NAME.json` with the same facts for programs. The folder is made if it isn't there; each file appears whole
 * or not at all. Node only.
 */
export function writeReport(folder: string, document: ReportDocument, data: unknown, name = 'report'): WrittenReport {
  const fs = nodeModule<typeof import('node:fs')>('node:fs', 'writeReport');
  const path = nodeModule<typeof import('node:path')>('node:path', 'writeReport');
  fs.mkdirSync(folder, { recursive: true });
  const write = (extension: string, content: string): string => {
    const file = path.join(folder, `${name}.${extension}`);
    const partial = `${file}.part`;
    fs.writeFileSync(partial, content);
    fs.renameSync(partial, file);
    return file;
  };
  // JSON first: where there is a page, there are its numbers.
  const json = write('json', `${readableJson(data)}\n`);
  return { html: write('html', renderReport(document)), json };
}
