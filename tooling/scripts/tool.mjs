// `tool.mjs COMMAND ARGS`: runs a tool of the workspace on the pinned Node, with the pinned pnpm on the PATH where turbo
// and changesets look for it; so `npm run build` works on a machine that has no pnpm.
import { install, toolEnvironment, pnpm } from './workspace.mjs';

await install();
process.exitCode = await pnpm(['exec', ...process.argv.slice(2)], { env: toolEnvironment() });
