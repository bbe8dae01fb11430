/**
 * The body of a worker thread, as source text: it must start from a blob in browsers and from a string in Node, in ESM
 * and CJS bundles, and must not be touched by a bundler. `start` never returns until the pool is disposed; everything
 * arrives through the shared memory: programs are compiled here from the bytes that the job names. See control.ts for
 * the words.
 */
export const workerSource = `
'use strict';
function start({ memory, kernels, scan, tid, control, spins, programs: bound, ready }) {
  const words = new Int32Array(memory.buffer, 0, control.end >> 2);
  const at = (address) => address >> 2;
  const JOB = at(control.jobGeneration);
  const SLEEPERS = at(control.jobSleepers);
  const programs = new Map();
  try {
    const instance = (module) => (module ? new WebAssembly.Instance(module, { env: { memory } }).exports : {});
    const imports = { host: { memory, stalled: () => 0 }, kernels: instance(kernels), scan: instance(scan) };
    const compile = (id) => {
      const address = words[at(control.jobBytes)] >>> 0;
      const length = words[at(control.jobLength)];
      if (address + length > memory.buffer.byteLength) memory.grow(0);
      const bytes = new Uint8Array(memory.buffer, address, length).slice();
      const run = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports).exports.run;
      programs.set(id, run);
      if (programs.size > bound) programs.delete(programs.keys().next().value);
      return run;
    };
    let limit = spins;
    let seen = Atomics.load(words, JOB);
    ready();
    for (;;) {
      // As at barriers (sync.ts): spin for as long as it helps.
      for (let i = 0; i < limit && Atomics.load(words, JOB) === seen; i++);
      const slept = Atomics.load(words, JOB) === seen;
      limit = slept ? Math.max(300, limit >> 1) : Math.min(spins, limit * 2);
      while (Atomics.load(words, JOB) === seen) {
        Atomics.add(words, SLEEPERS, 1);
        Atomics.wait(words, JOB, seen);
        Atomics.sub(words, SLEEPERS, 1);
      }
      seen = Atomics.load(words, JOB);
      const id = words[at(control.jobProgram)];
      if (id < 0) return;
      const run = programs.get(id) || compile(id);
      run(words[at(control.jobTable)], tid, words[at(control.jobThreads)]);
    }
  } catch (error) {
    const room = control.end - control.errorText;
    const text = String(error && error.message || error).replace(/[^ -~]/g, '?').slice(0, room);
    for (let i = 0; i < text.length; i++) new Uint8Array(memory.buffer)[control.errorText + i] = text.charCodeAt(i);
    words[at(control.errorLength)] = text.length;
    Atomics.store(words, at(control.abort), tid + 1);
    Atomics.notify(words, at(control.barrierGeneration));
    ready();
  }
}
const node = typeof process === 'object' && process.getBuiltinModule;
const { parentPort, workerData } = node ? process.getBuiltinModule('node:worker_threads') : {};
if (parentPort) start({ ...workerData, ready: () => parentPort.postMessage('ready') });
else onmessage = ({ data }) => start({ ...data, ready: () => postMessage('ready') });
`;
