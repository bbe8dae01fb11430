// node …/self-check/routines.js [--time]: the routines by themselves on this machine's card.
import { checkRoutines } from './check-routines';
import { timeRoutines } from './time-routines';

const complaints = await checkRoutines((line) => console.log(line));
for (const text of complaints.slice(0, 80)) console.log(text);
if (process.argv.includes('--time')) await timeRoutines((line) => console.log(line));
process.exitCode = complaints.length > 0 ? 1 : 0;
