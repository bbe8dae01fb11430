// Program: runs the conformance suites of backends, layers and blocks on one device of this machine, without a test
// framework, so that it works where there is nothing but Node and the built packages: a machine with a GPU.
//   node main.js --device NAME [--only TEXT] [--suites backend,layers,blocks] [--shard I/N]
// A shard is every Nth test from number I (1 to N), for N processes side by side.
import { parseArgs } from 'node:util';
import { deviceNames, isDeviceName, openDevice } from '@mamba-ts/devices';
import { sequenceLayers, testSequenceLayer } from '@mamba-ts/ssm/conformance';
import { type Backend, Device } from '@mamba-ts/tensor';
import { plainRunner, testBackend, type TestRunner } from '@mamba-ts/tensor/conformance';
import { combinations } from './layers';

type Suite = (runner: TestRunner, name: string, open: () => Promise<Device>) => void;

const suites: Readonly<Record<string, Suite>> = {
  backend: testBackend,
  layers: (runner, name, open) => {
    for (const [layer, make] of Object.entries(sequenceLayers))
      testSequenceLayer(runner, layer, make, { devices: { [name]: open }, reference: false });
  },
  blocks: (runner, name, open) => {
    for (const { name: block, make } of combinations())
      testSequenceLayer(runner, block, make, { devices: { [name]: open }, reference: false });
  },
};

/**
 * Devices over one backend, which keeps what it has compiled: a GPU's driver takes longer for that than for everything else, and gives a process
 * only so many devices, those included that were destroyed. The suite of backends, which tests how devices end, opens its own.
 */
function sharing(backend: Backend): () => Promise<Device> {
  const kept = new Proxy(backend, {
    get(target, name) {
      if (name === 'dispose') return () => undefined;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return async () => new Device(kept);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      device: { type: 'string', default: 'cpu' },
      only: { type: 'string', default: '' },
      suites: { type: 'string', default: Object.keys(suites).join(',') },
      shard: { type: 'string', default: '1/1' },
    },
  });
  const { device: name, only } = values;
  if (!isDeviceName(name)) {
    console.error(`conformance: --device is '${name}', expected one of ${deviceNames.join(', ')}`);
    return 2;
  }
  const chosen = values.suites.split(',');
  const unknown = chosen.find((suite) => !Object.hasOwn(suites, suite));
  if (unknown !== undefined) {
    console.error(`conformance: --suites has '${unknown}', expected some of ${Object.keys(suites).join(', ')}`);
    return 2;
  }
  const [index, count] = values.shard.split('/').map(Number);
  if (!(Number.isInteger(index) && Number.isInteger(count) && index >= 1 && index <= count)) {
    console.error(`conformance: --shard is '${values.shard}', expected I/N with I from 1 to N`);
    return 2;
  }
  const first = await openDevice(name);
  console.log(`${name}: ${first.backend.description}`);
  const open = sharing(first.backend);
  let failures = 0;
  for (const suite of chosen) {
    const { runner, run } = plainRunner();
    suites[suite]!(runner, name, suite === 'backend' ? () => openDevice(name) : open);
    const started = performance.now();
    const { passed, failed } = await run({ only, shard: { index: index - 1, count }, log: (line) => console.log(line.slice(0, 1500)) });
    failures += failed.length;
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${suite}${count > 1 ? ` ${values.shard}` : ''} on ${name}: ${passed} passed, ${failed.length} failed, ${seconds} s`);
  }
  first.dispose();
  return failures === 0 ? 0 : 1;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
