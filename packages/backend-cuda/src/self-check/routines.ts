// node …/self-check/routines.js [--only-time] [--check=PART OF A NAME] [--time[=PART OF A NAME]]: the routines by themselves on this machine's card.
import { checkRoutines } from './check-routines';
import { timeRoutines } from './time-routines';

const check = process.argv.find((argument) => argument.startsWith('--check='))?.slice('--check='.length);
const complaints = process.argv.includes('--only-time') ? [] : await checkRoutines((line) => console.log(line), check);
for (const text of complaints.slice(0, 80)) console.log(text);
const time = process.argv.find((argument) => argument.startsWith('--time'));
if (time) await timeRoutines((line) => console.log(line), time.slice('--time='.length));
process.exitCode = complaints.length > 0 ? 1 : 0;
