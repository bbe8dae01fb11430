export { type MeasureOptions, measure, summarize, type Timing } from './measure';
export { describeMachine } from './machine';
export { type BenchmarkResult, formatMarkdown, formatTable, type Measurement, meetsBar, tableRows } from './results';
