import { test } from 'vitest';
import { runParity } from '../src/command-line';
test('x', async () => { const t=performance.now(); const l: string[]=[]; await runParity([process.env.PF!, '--data', '/work/shared/data'], (x) => l.push(x)); console.log(l.join('\n'), performance.now()-t); });
