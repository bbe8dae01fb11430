import { expect, it } from 'vitest';
import { cpuRoutines } from '../../src/cpu/routines';
import { routineNames } from '../../src/graph/routines';
import { referenceRoutines } from '../../src/reference/routines';

it('implements every routine of the list, on both backends', () => {
  expect(Object.keys(cpuRoutines).toSorted()).toEqual([...routineNames].toSorted());
  expect(Object.keys(referenceRoutines).toSorted()).toEqual([...routineNames].toSorted());
});
