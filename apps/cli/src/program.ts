import { type Command, type Surroundings, UsageError } from './command';
import { convertCommand } from './commands/convert';
import { generateCommand } from './commands/generate';
import { infoCommand } from './commands/info';

const commands: readonly Command[] = [generateCommand, infoCommand, convertCommand];

const usage = `Mamba checkpoints on the command line.

  mamba COMMAND [options]

${commands.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}`).join('\n')}

mamba COMMAND --help explains a command's options.
`;

/**
 * The program without its process.
 *
 * @returns the exit code: 0, 1 where something went wrong, 2 for a wrong command line, 130 after Ctrl-C; errors are one
 *   line on stderr
 */
export async function runProgram({
  args,
  ...surroundings
}: Surroundings & { readonly args: readonly string[] }): Promise<number> {
  const { stdout, stderr, signal } = surroundings;
  const [name, ...rest] = args;
  const command = commands.find((c) => c.name === name);
  try {
    if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
      (name === undefined ? stderr : stdout).write(usage);
      return name === undefined ? 2 : 0;
    }
    if (!command) throw new UsageError(`there is no command ${JSON.stringify(name)}`);
    if (rest.includes('--help') || rest.includes('-h')) {
      stdout.write(command.help);
      return 0;
    }
    await command.run(rest, surroundings);
    return 0;
  } catch (error) {
    if (signal.aborted) return 130;
    const { message } = error instanceof Error ? error : new Error(String(error));
    stderr.write(`mamba: ${message}\n`);
    if (!(error instanceof UsageError)) return 1;
    stderr.write(`mamba${command ? ` ${command.name}` : ''} --help explains the options.\n`);
    return 2;
  }
}
