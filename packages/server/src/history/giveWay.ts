import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Lets a process have only the time that nobody else wants. Linux may share the cores out by sessions first, among which
 * the priority of a process counts for nothing: spawn it `detached`, so that it has a session of its own.
 */
export async function giveWay(pid: number): Promise<void> {
  os.setPriority(pid, os.constants.priority.PRIORITY_LOW);
  // Linux lets whoever is not root do this once in 100 ms, on the whole machine (EAGAIN).
  for (let tries = 0; tries < 20 && !setSessionPriority(pid); tries++) await delay(60 + 80 * Math.random());
}

/** Whether there is nothing more to try. */
function setSessionPriority(pid: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, String(os.constants.priority.PRIORITY_LOW));
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (code === 'EAGAIN') return false;
    // ENOENT: a system that does not share them so, for which the priority suffices; ESRCH: the process has ended.
    if (['ENOENT', 'ESRCH', 'EACCES', 'EROFS'].includes(code)) return true;
    throw error;
  }
}
