import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { followAlerts } from './alerts.js';
import { DemoError, startChild } from './children.js';
import { endingOf, isOver } from './ending.js';
import { Story } from './story.js';
import { sendImages } from './traffic.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const IMAGES_PER_SECOND = 2;

/**
 * The demo from start to end: Nowcast (where none answers), the OCR service, the images. Stops what it started.
 *
 * @param {{ minutes: number, newVersionAfterSeconds: number, once: number | undefined }} options
 * @param {AbortSignal} signal ends it early
 */
export async function runDemo({ minutes, newVersionAfterSeconds, once }, signal) {
  const stopping = new AbortController();
  const stop = AbortSignal.any([signal, stopping.signal]);
  /** @type {import('./children.js').Child[]} */
  const children = [];
  /** @param {import('./children.js').Child} child */
  const keep = (child) => {
    children.push(child);
    void child.ended.then((why) => stopping.abort(why));
    return child.url;
  };
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  try {
    const running = await findNowcast();
    const nowcastUrl = running ?? keep(await startNowcast(stop));
    const serviceUrl = keep(await startOcrService(nowcastUrl, stop));
    const plan = once === undefined ? actsWithin(newVersionAfterSeconds, minutes * 60) : [];
    const ending = endingOf(plan, minutes * 60);
    const story = new Story({ nowcastUrl, serviceUrl, ours: running === undefined });
    const begun = performance.now();
    if (once === undefined) {
      story.begin(plan, ending);
      let openAlerts = 0;
      followAlerts({
        nowcastUrl,
        signal: stop,
        tell: (line) => story.tell(line),
        looked: (open) => {
          openAlerts = open;
        },
      });
      timer = setInterval(() => {
        const elapsedSeconds = (performance.now() - begun) / 1_000;
        if (isOver(ending, { elapsedSeconds, openAlerts })) stopping.abort();
      }, 500);
    }
    await sendImages({
      serviceUrl,
      signal: stop,
      onAnswer: (answer) => story.answered(answer),
      actOf: (number) => {
        if (once !== undefined) return number >= once / 2 ? 'newVersion' : 'before';
        const act = plan.findLast(
          ({ afterSeconds }) => performance.now() - begun >= afterSeconds * 1_000,
        )?.act;
        if (act !== undefined) story.reached(act);
        return act ?? 'before';
      },
      ...(once === undefined ? { perSecond: IMAGES_PER_SECOND } : { count: once }),
    });
    story.end();
  } catch (error) {
    // What stopping interrupts has not failed.
    if (!stop.aborted) stopping.abort(error);
  }
  clearInterval(timer);
  const why = stopping.signal.reason;
  // The service first: its last events still find a Nowcast.
  for (const child of children.reverse()) await child.stop();
  if (why instanceof Error && why.name !== 'AbortError') throw why;
}

/**
 * The acts that fit into the time. What ocr-v2 is usually like has to be seen before it fails, and the failure to last
 * until Nowcast has looked a second time at where it comes from. In ten minutes there is time for the alert's end, which
 * comes when the last minute is without failures and five minutes were calm.
 *
 * @param {number} newVersionAfterSeconds
 * @param {number} seconds
 */
function actsWithin(newVersionAfterSeconds, seconds) {
  const acts = /** @type {{ act: import('./plan.js').Act, afterSeconds: number }[]} */ ([
    { act: 'newVersion', afterSeconds: newVersionAfterSeconds },
    { act: 'smallReceipts', afterSeconds: 3.25 * newVersionAfterSeconds },
    { act: 'takenBack', afterSeconds: 5.5 * newVersionAfterSeconds },
  ]);
  return acts.filter(({ afterSeconds }) => afterSeconds < seconds);
}

/** The address of a Nowcast that answers on PORT, which is then used as it is. */
async function findNowcast() {
  const port = process.env.PORT || '4318';
  const url = `http://127.0.0.1:${port}`;
  const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(3_000) }).catch((error) => {
    if (error.cause?.code === 'ECONNREFUSED') return undefined;
    throw new DemoError(`What listens on port ${port} does not answer: stop it, or set PORT to another one.`);
  });
  if (answer === undefined) return undefined;
  const health = await answer.text();
  if (health.includes('"last_event_age_seconds"')) return url;
  throw new DemoError(`Port ${port} is in use by another program: stop it, or set PORT to a free one.`);
}

/** @param {AbortSignal} signal */
async function startNowcast(signal) {
  // A demo writes into no database of yours, and listens where only this machine reaches it.
  const { DATABASE_URL: _, ...env } = process.env;
  return await startChild('Nowcast', [path.join(root, 'packages/server/bin/nowcast.mjs'), 'start'], {
    cwd: root,
    env: { ...env, HOST: '127.0.0.1' },
    ready: /Nowcast is ready at (\S+)\n/,
    signal,
  });
}

/**
 * @param {string} nowcastUrl
 * @param {AbortSignal} signal
 */
async function startOcrService(nowcastUrl, signal) {
  const { PATH, NOWCAST_INGEST_KEY, NOWCAST_SERVICE_KEY } = process.env;
  const key = NOWCAST_INGEST_KEY ?? NOWCAST_SERVICE_KEY;
  return await startChild('The OCR service', [path.join(root, 'examples/ocr-service/src/main.js')], {
    cwd: root,
    env: {
      PATH,
      OCR_PORT: '0',
      TELEMETRY_URL: nowcastUrl,
      ...(key === undefined ? {} : { TELEMETRY_KEY: key }),
    },
    ready: /ready at (\S+):/,
    signal,
  });
}
