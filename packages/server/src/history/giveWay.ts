import { writeFileSync } from 'node:fs';
import os from 'node:os';

/**
 * Lets a process have only the time that nobody else wants. Linux may share the cores out by sessions first, among which
 * the priority of a process counts for nothing: spawn it `detached`, so that it has a session of its own.
 */
export function giveWay(pid: number): void {
  os.setPriority(pid, os.constants.priority.PRIORITY_LOW);
  try {
    writeFileSync(`/proc/${pid}/autogroup`, String(os.constants.priority.PRIORITY_LOW));
  } catch (error) {
    // ENOENT: a system that does not share them so, for which the priority suffices; ESRCH: the process has ended.
    if (!['ENOENT', 'ESRCH', 'EACCES', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
  }
}
