import fs from 'node:fs';
import { test } from 'vitest';
import { runParity } from '../src/command-line';
test('x', async () => { const lines: string[] = []; const code = await runParity(['/work/shared/fixtures'], (l) => lines.push(l)); fs.writeFileSync('/tmp/parity.out', lines.join('\n') + '\ncode ' + code + '\n'); });
