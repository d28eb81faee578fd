/**
 * A load runs in a process of its own, so that its garbage collector and its CPU time are its own too.
 * The parent gives it a specification, hears when it is ready and when its measured window opens and closes
 * (that is when the parent reads everybody's CPU time), may tell it things, and gets one result.
 */
import { fork } from 'node:child_process';
import { giveWay } from 'nowcast/dist/history/giveWay.js';

export type WindowEdge = 'open' | 'close';

type FromTask<Result> =
  | { kind: 'ready' }
  | { kind: 'window'; edge: WindowEdge }
  | { kind: 'result'; result: Result }
  | { kind: 'failed'; message: string };

export interface TaskOptions {
  /** The task is killed after this, whatever it is doing. */
  limitMs: number;
  onWindow?: (edge: WindowEdge, pid: number) => void;
  /** Ends the task with the benchmark. */
  signal?: AbortSignal;
  /** It gets only the time that nobody else wants. */
  givesWay?: boolean;
}

export interface Task<Result> {
  pid: number;
  ready: Promise<void>;
  result: Promise<Result>;
  tell: (message: object) => void;
}

/** Starts `module` as a process with `spec`; its result rejects when it fails, dies or exceeds `limitMs`. */
export function startTask<Spec, Result>(module: URL, spec: Spec, options: TaskOptions): Task<Result> {
  const child = fork(module, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // Structured clone: a NaN stays one.
    serialization: 'advanced',
    detached: options.givesWay === true,
  });
  if (options.givesWay === true && child.pid !== undefined) giveWay(child.pid);
  const ready = deferred<void>();
  const result = deferred<Result>();
  const kill = () => child.kill('SIGKILL');
  const timer = setTimeout(() => {
    kill();
    result.reject(new Error(`${module.pathname} did not end within ${options.limitMs} ms`));
  }, options.limitMs);
  options.signal?.addEventListener('abort', kill, { once: true });
  child.on('error', result.reject);
  child.on('message', (message: FromTask<Result>) => {
    if (message.kind === 'ready') ready.resolve();
    else if (message.kind === 'window') options.onWindow?.(message.edge, child.pid!);
    else if (message.kind === 'result') result.resolve(message.result);
    else result.reject(new Error(message.message));
  });
  child.on('exit', (code, signal) => {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', kill);
    // After a result this changes nothing: the promise is settled.
    result.reject(new Error(`${module.pathname} ended with ${signal ?? code} before its result`));
  });
  // Whoever waits for readiness hears of a failure there; nobody may be waiting for the result yet.
  result.promise.catch(ready.reject);
  ready.promise.catch(() => {});
  child.send(spec as object);
  return {
    pid: child.pid!,
    ready: ready.promise,
    result: result.promise,
    tell: (message) => child.send(message),
  };
}

interface Deferred<Value> {
  promise: Promise<Value>;
  resolve: (value: Value) => void;
  reject: (error: Error) => void;
}

function deferred<Value>(): Deferred<Value> {
  const parts: Partial<Deferred<Value>> = {};
  parts.promise = new Promise<Value>((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts as Deferred<Value>;
}

export interface TaskSide {
  ready: () => void;
  window: (edge: WindowEdge) => void;
  /** Calls back for each thing the parent tells after the specification. */
  onTold: (callback: (message: unknown) => void) => void;
}

/** The other end: call once at the top of a task's module. */
export function serveTask<Spec, Result>(run: (spec: Spec, side: TaskSide) => Promise<Result>): void {
  const send = (message: FromTask<Result>, then?: () => void) => {
    process.send!(message, undefined, undefined, then);
  };
  process.once('message', (spec: Spec) => {
    const side: TaskSide = {
      ready: () => send({ kind: 'ready' }),
      window: (edge) => send({ kind: 'window', edge }),
      onTold: (callback) => process.on('message', callback),
    };
    run(spec, side)
      .then((result) => send({ kind: 'result', result }, () => process.exit(0)))
      .catch((error: Error) =>
        send({ kind: 'failed', message: error.stack ?? error.message }, () => process.exit(1)),
      );
  });
  // A parent that died leaves no load behind.
  process.once('disconnect', () => process.exit(1));
}
