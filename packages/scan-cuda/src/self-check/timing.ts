// Times on a card: graphs of several launches between two events, medians over many replays.
import type { CudaContext, CudaStream } from '../driver/index';

export interface Timing {
  readonly median: number;
  /** 10th and 90th percentile. */
  readonly low: number;
  readonly high: number;
  readonly samples: number;
}

/** Time of what `body` queues, in ms. */
export function time(context: CudaContext, stream: CudaStream, body: () => void, budget: number = 60): Timing {
  const [start, end] = [context.createEvent(), context.createEvent()];
  const measure = (run: () => void): number => {
    start.record(stream);
    run();
    end.record(stream);
    end.synchronize();
    return end.since(start);
  };
  measure(body);
  const once = Math.min(measure(body), measure(body));
  const repeats = Math.max(1, Math.min(50, Math.floor(1 / once)));
  const graph = stream.capture(() => {
    for (let i = 0; i < repeats; i++) body();
  });
  measure(() => graph.launch(stream));
  const samples: number[] = [];
  const runs = Math.max(7, Math.min(60, Math.floor(budget / (once * repeats))));
  for (let i = 0; i < runs; i++) samples.push(measure(() => graph.launch(stream)) / repeats);
  samples.sort((a, b) => a - b);
  graph.destroy();
  start.destroy();
  end.destroy();
  const at = (fraction: number): number => samples[Math.round(fraction * (samples.length - 1))];
  return { median: at(0.5), low: at(0.1), high: at(0.9), samples: samples.length };
}
