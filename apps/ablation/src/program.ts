import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setDefaultDevice } from '@mamba-ts/tensor';
import { describeMachine, formatDuration, JsonlLog, type ProgressStream, writeReport } from '@mamba-ts/train';
import { help, readCommandLine } from './command-line';
import { openStudyDevice } from './devices';
import { UsageError } from './errors';
import { packageFolder } from './package-folder';
import { reportPage } from './report/page';
import type { StudyReport } from './report/study-report';
import { StudyRunner } from './run/study';
import { defaultStudy, loadStudy } from './study/load';
import { resolveStudy } from './study/resolve';
import { Screen } from './terminal/screen';
import { packageVersions } from './versions';

export interface Surroundings {
  readonly args: readonly string[];
  readonly stdout: ProgressStream;
  readonly stderr: ProgressStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What relative paths on the command line start from. */
  readonly folder: string;
  /** Aborted by the first Ctrl-C. */
  readonly signal: AbortSignal;
}

const reportsFolder = join(packageFolder, 'reports');

/** The program without its process. Returns the exit code: 0, 130 after an interruption, 2 for a wrong command line or config. */
export async function runProgram({ args, stdout, stderr, env, folder, signal }: Surroundings): Promise<number> {
  try {
    const options = readCommandLine(args, folder);
    if (options.help) {
      stdout.write(help);
      return 0;
    }
    return await runStudy(options, new Screen(stdout, env), folder, signal);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    stderr.write(`${error.message}\nnpm start -- --help explains the options.\n`);
    return 2;
  }
}

async function runStudy(
  options: ReturnType<typeof readCommandLine>,
  screen: Screen,
  folder: string,
  signal: AbortSignal,
): Promise<number> {
  const began = performance.now();
  const created = new Date();
  const { study, folder: studyFolder } = await loadStudy(options.config ?? defaultStudy);
  const seed = options.seed ?? study.seed ?? 1;
  const parts = resolveStudy(study, { folder: studyFolder, seed, steps: options.steps });
  const out = options.out ?? newFolder(created);
  const device = await openStudyDevice(options.device, options.threads);
  const previous = setDefaultDevice(device);
  try {
    const log = openLog(out);
    const threads = options.threads ?? null;
    const where = threads === null ? device.name : `${device.name}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
    screen.line(screen.bold(study.title));
    if (study.lead !== undefined) screen.paragraph(study.lead);
    screen.line(
      screen.dim(
        `seed ${seed} · ${where} · ${parts.reduce((n, p) => n + p.rows.length, 0)} runs · Ctrl-C stops and reports what is done`,
      ),
    );
    log.event('study', { title: study.title, seed, device: device.name, threads, created: created.toISOString() });
    const runner = new StudyRunner({ parts, device, seed, signal, screen, log });
    const write = (): StudyReport => {
      const report: StudyReport = {
        format: 'mamba-ts/ablation-report',
        version: 1,
        title: study.title,
        lead: study.lead ?? null,
        created: created.toISOString(),
        ...runner.snapshot(),
        seed,
        device: { name: device.name, threads, peakBytes: runner.peakBytes },
        machine: describeMachine(),
        versions: packageVersions(),
        seconds: (performance.now() - began) / 1000,
      };
      writeReport(out, reportPage(report), report);
      return report;
    };
    // After every row, so that whatever ends the program leaves what was done.
    await runner.run(write);
    const { finished, seconds } = write();
    log.event('end', { finished, seconds });
    screen.line();
    if (finished && options.config === undefined) {
      const own = shortPath(defaultStudy, folder);
      screen.paragraph(
        `To compare something else, copy ${own}, add a line to its rows, and: npm start -- --config FILE`,
      );
    }
    screen.line(
      finished
        ? `Done in ${formatDuration(seconds)}. The report:`
        : `Interrupted after ${formatDuration(seconds)}. The report of what is done:`,
    );
    screen.line(shortPath(join(out, 'report.json'), folder));
    screen.line(shortPath(join(out, 'report.html'), folder));
    return finished ? 0 : 130;
  } finally {
    setDefaultDevice(previous);
    device.dispose();
  }
}

/** A folder that no other run has, named by the local time. */
function newFolder(date: Date): string {
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  const name = local.toISOString().slice(0, 19).replaceAll(':', '-');
  let folder = join(reportsFolder, name);
  for (let i = 2; existsSync(folder); i++) folder = join(reportsFolder, `${name}-${i}`);
  return folder;
}

function openLog(folder: string): JsonlLog {
  const file = join(folder, 'log.jsonl');
  try {
    mkdirSync(folder, { recursive: true });
    appendFileSync(file, '');
  } catch (error) {
    throw new UsageError(`--out: ${folder} can't be written to: ${(error as Error).message}`, { cause: error });
  }
  if (readFileSync(file).length > 0)
    throw new UsageError(`--out: ${folder} holds the report of another run; name a new folder`);
  return new JsonlLog((line) => appendFileSync(file, line));
}

/** Relative where that is shorter: a path to click on or to copy. */
function shortPath(path: string, folder: string): string {
  const short = relative(folder, path);
  return short.length < path.length && !short.startsWith('..') ? short : path;
}
