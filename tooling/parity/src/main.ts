import { runParity } from './command-line';

process.exitCode = await runParity(process.argv.slice(2), (line) => console.log(line));
