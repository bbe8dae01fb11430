// `npm start -- ARGS`: installs and builds what is missing, then runs the ablation app.
import { build, install, runProgram } from './workspace.mjs';

await install();
await build('@mamba-ts/app-ablation...');
runProgram('apps/ablation/dist/main.js', process.argv.slice(2));
