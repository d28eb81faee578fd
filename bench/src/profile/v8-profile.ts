/**
 * A V8 CPU profile of the server's main thread over exactly the measured window, taken through the inspector
 * and folded into "which file costs how much of the time".
 */
import WebSocket from 'ws';
import type { WindowEdge } from '../load/task.ts';

interface ProfileNode {
  id: number;
  callFrame: { functionName: string; url: string; lineNumber: number };
}

interface CpuProfile {
  nodes: ProfileNode[];
  samples: number[];
  timeDeltas: number[];
}

export interface SelfTime {
  name: string;
  share: number;
}

/** Fine enough for a window of seconds; finer costs the server time that it is to be measured without. */
const SAMPLING_INTERVAL_US = 500;
const SHOWN = 16;

export class V8Profile {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #lastId = 0;
  #profile: Promise<CpuProfile> | undefined;
  /** Functions by self time, after `finish`. */
  functions: SelfTime[] = [];
  /** Packages and source files by self time, after `finish`. */
  files: SelfTime[] = [];

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => {
      const { id, result } = JSON.parse(String(data)) as { id?: number; result?: unknown };
      if (id === undefined) return;
      this.#waiting.get(id)?.(result);
      this.#waiting.delete(id);
    });
  }

  static async connect(url: string): Promise<V8Profile> {
    const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 0 });
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    const profile = new V8Profile(socket);
    await profile.#call('Profiler.enable');
    await profile.#call('Profiler.setSamplingInterval', { interval: SAMPLING_INTERVAL_US });
    return profile;
  }

  edge(edge: WindowEdge): void {
    if (edge === 'open') void this.#call('Profiler.start');
    else
      this.#profile = this.#call('Profiler.stop').then(
        (result) => (result as { profile: CpuProfile }).profile,
      );
  }

  async finish(): Promise<void> {
    const profile = await this.#profile;
    if (profile !== undefined) {
      this.functions = selfTimes(profile, functionName);
      this.files = selfTimes(profile, (node) => fileName(node.callFrame));
    }
    this.#socket.close();
  }

  #call(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#lastId;
    this.#socket.send(JSON.stringify({ id, method, params }));
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }
}

function selfTimes(profile: CpuProfile, nameOf: (node: ProfileNode) => string): SelfTime[] {
  const names = new Map(profile.nodes.map((node) => [node.id, nameOf(node)]));
  const spent = new Map<string, number>();
  let total = 0;
  for (const [index, node] of profile.samples.entries()) {
    const name = names.get(node)!;
    const delta = profile.timeDeltas[index]!;
    spent.set(name, (spent.get(name) ?? 0) + delta);
    total += delta;
  }
  return [...spent]
    .map(([name, time]) => ({ name, share: time / total }))
    .sort((a, b) => b.share - a.share)
    .slice(0, SHOWN);
}

function functionName(node: ProfileNode): string {
  const { functionName: name, lineNumber } = node.callFrame;
  const file = fileName(node.callFrame);
  return file.startsWith('(') ? name : `${name || '(anonymous)'} ${file}:${lineNumber + 1}`;
}

/** Path inside the package: `pg/lib/client.js`, `server/dist/store/writer.js`; a word in parentheses for V8's own entries. */
function fileName({ url, functionName: name }: ProfileNode['callFrame']): string {
  if (url === '') return name.startsWith('(') ? name : '(native code)';
  const path = url.replace(/^file:\/\//, '');
  const behind = path.lastIndexOf('/node_modules/');
  if (behind >= 0) return path.slice(behind + '/node_modules/'.length);
  return path.replace(/^.*\/packages\//, '');
}
