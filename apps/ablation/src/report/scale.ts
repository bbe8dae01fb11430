import { formatCount } from '@mamba-ts/train';
import type { ResolvedRow } from '../study/resolve';
import type { TaskConfig } from '../study/study';

/** The sizes that a result depends on, in a line. */
export function scaleOf(task: TaskConfig, { model, training }: ResolvedRow): string {
  return [
    ...taskSizes(task),
    `width ${formatCount(model.dModel)}`,
    `${model.nLayer} ${model.nLayer === 1 ? 'layer' : 'layers'}`,
    `${formatCount(training.steps)} steps of ${formatCount(training.batch)} rows`,
  ].join(' · ');
}

function taskSizes(task: TaskConfig): string[] {
  switch (task.kind) {
    case 'selective-copying':
      return [
        `context ${formatCount(task.contextLength)}`,
        `${task.dataTokens} data tokens`,
        `vocabulary ${task.vocabSize}`,
      ];
    case 'induction-heads':
      return [`length ${formatCount(task.length)}`, `vocabulary ${task.vocabSize}`];
    case 'text':
      return [`windows of ${formatCount(task.length)} bytes`];
  }
}
