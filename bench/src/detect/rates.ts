import { RateDetector } from 'nowcast/dist/process/detect/index.js';
import { random } from './random.ts';
import { startMs } from './shapes.ts';

const minuteMs = 60_000;

/** Error shares as real services have them. */
export const rates = [
  { bad: 0.001, perMinute: 1200 },
  { bad: 0.01, perMinute: 1200 },
  { bad: 0.01, perMinute: 60 },
  { bad: 0.05, perMinute: 10 },
];

type Rate = (typeof rates)[number];
export const rateName = (rate: Rate) => `${rate.bad * 100} % errors of ${rate.perMinute} a minute`;

export function rateAlarms(rate: Rate, seed: number, days: number): number {
  const r = random(seed);
  const detector = RateDetector.restore(undefined);
  let alarms = 0;
  for (let minute = 0; minute < days * 1440; minute++) {
    const total = r.poisson(rate.perMinute * (1 + 0.5 * Math.sin((minute / 1440) * 2 * Math.PI)));
    const bad = Math.min(total, r.poisson(total * rate.bad));
    if (detector.push(startMs + minute * minuteMs, bad, total).anomaly) alarms++;
  }
  return alarms;
}

export function rateDelay(rate: Rate, share: number, seed: number): number | undefined {
  const r = random(500 + seed);
  const detector = RateDetector.restore(undefined);
  const from = 2000;
  for (let minute = 0; minute < from + 30; minute++) {
    const total = r.poisson(rate.perMinute);
    const bad = Math.min(total, r.poisson(total * (minute < from ? rate.bad : share)));
    if (detector.push(startMs + minute * minuteMs, bad, total).anomaly && minute >= from)
      return minute - from + 1;
  }
  return undefined;
}
