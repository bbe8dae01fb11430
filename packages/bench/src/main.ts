#!/usr/bin/env node
import { UsageError } from './command';
import { commands } from './commands';

const width = Math.max(...commands.map((c) => c.name.length)) + 2;
const usage = `Usage: pnpm bench COMMAND [options]       (--help behind a command explains its options)

${commands.map((c) => `  ${c.name.padEnd(width)}${c.summary}`).join('\n')}`;

async function main([name, ...args]: readonly string[]): Promise<number> {
  const command = commands.find((c) => c.name === name);
  if (!command) {
    const help = name === undefined || name === '--help' || name === '-h';
    console[help ? 'log' : 'error'](help ? usage : `bench: command is '${name}', expected one of ${commands.map((c) => c.name).join(', ')}\n\n${usage}`);
    return name === '--help' || name === '-h' ? 0 : 2;
  }
  if (args.includes('--help') || args.includes('-h')) {
    console.log(command.usage);
    return 0;
  }
  try {
    return await command.run(args);
  } catch (error) {
    // Other errors have codes too, a driver's are numbers.
    const { code } = error as { code?: unknown };
    const wrongOption = typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS');
    if (!(error instanceof UsageError) && !wrongOption) throw error;
    console.error(`bench: ${(error as Error).message}\n\n${command.usage}`);
    return 2;
  }
}

void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
