import type { ChildProcess } from 'node:child_process';
import type { Account } from './account.ts';
import { spawnDetached } from './childProcess.ts';
import { identify } from './processIdentity.ts';

export type Watchdog = { pid: number | undefined; close(): void };

/**
 * Stops PostgreSQL when our process has gone without doing so itself (kill -9, out of memory): a shell (under
 * 1 MB) that reads a pipe of which we hold the only other end, which the kernel closes with us. It compares the
 * start time before every signal, so that a reused pid is never hit.
 *
 * Fast shutdown gets 3 s of the 5 s we promise; then immediate shutdown, which the next start recovers from.
 */
const SCRIPT = `
trap '' HUP INT TERM
started() {
  if [ -r /proc/self/stat ]; then
    read -r stat 2>/dev/null < "/proc/$1/stat" || return
    set -- \${stat##*) }
    [ "$1" = Z ] || echo "\${20}"
  else
    echo $(ps -o lstart= -p "$1")
  fi
}
same() { [ "$(started "$pid" 2>/dev/null)" = "$since" ]; }
pid=$1
since=$2
read -r nothing
n=0
while same; do
  case $n in
    0) kill -INT "$pid" ;;
    30) kill -QUIT "$pid" ;;
    150) exit 1 ;;
  esac
  n=$((n + 1))
  sleep 0.1 2>/dev/null || sleep 1
done
`;

/** Watches over the PostgreSQL with this pid until `close()`, to be called once that process has ended. */
export function startWatchdog(
  pid: number,
  account: Account | undefined,
  warn: (message: string) => void,
): Watchdog {
  const since = identify(pid)?.startedAt;
  let closed = since === undefined;
  let shell: ChildProcess | undefined;
  const watch = () => {
    shell = spawnDetached('sh', ['-c', SCRIPT, 'nowcast-watchdog', String(pid), scriptTime(since ?? '')], {
      account,
      stdin: 'pipe',
    });
    shell.once('error', (error) => {
      warn(`No watchdog: PostgreSQL would outlive a killed server (${error.message}).`);
    });
    // Somebody killed the watchdog: PostgreSQL still wants one.
    shell.once('exit', (_code, signal) => {
      if (!closed && signal !== null) watch();
    });
    shell.stdin?.on('error', () => undefined);
    // It must not keep our process alive; when we end, it acts.
    shell.unref();
    (shell.stdin as { unref?(): void } | null)?.unref?.();
  };
  if (!closed) watch();
  return {
    get pid() {
      return shell?.pid;
    },
    close() {
      closed = true;
      shell?.stdin?.end();
    },
  };
}

/** Identities carry the boot they count from; the shell compares within one boot. */
const scriptTime = (startedAt: string): string => startedAt.split('@')[0]!.replace(/\s+/g, ' ');
