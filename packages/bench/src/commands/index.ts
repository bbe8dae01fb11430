import type { Command } from '../command';
import { cpuCommand } from './cpu';
import { decodeCommand } from './decode';
import { modelCommand } from './model';
import { sameCommand } from './same';
import { scanCommand } from './scan';
import { tableCommand } from './table';

/** In the order of the help text. */
export const commands: readonly Command[] = [cpuCommand, decodeCommand, modelCommand, sameCommand, scanCommand, tableCommand];
