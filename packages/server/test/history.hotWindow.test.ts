import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hotDaysNow } from '../src/history/hotWindow.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline.close());

const windowOf = (hotDays: number, coldUrl?: string) => hotDaysNow(pipeline.pool, { hotDays, coldUrl });
const passes = (hours: number) =>
  pipeline.query('update nowcast.retention_window set lowered_at = lowered_at - make_interval(hours => $1)', [
    hours,
  ]);

describe('a hot window', () => {
  test('that is lowered takes nothing away for a day, and says what it will', async () => {
    await pipeline.query(`select nowcast.create_partition(current_date - 20)`);
    expect(await windowOf(30)).toEqual({ hotDays: 30, announcement: undefined });
    const lowered = await windowOf(7);
    expect(lowered.hotDays).toBe(30);
    expect(lowered.announcement).toMatch(
      /^NOWCAST_HOT_DAYS went from 30 to 7: after \S+Z the rows of 1 day \(about 0\) are dropped for ever/,
    );
    expect((await windowOf(7, 'file:///archive')).announcement).toContain('move to the archive');
    await passes(23);
    expect((await windowOf(7)).hotDays).toBe(30);
    await passes(2);
    expect(await windowOf(7)).toEqual({ hotDays: 7, announcement: undefined });
  });

  test('that is raised again holds at once, and lowering it twice keeps the largest', async () => {
    expect((await windowOf(60)).hotDays).toBe(60);
    expect((await windowOf(20)).hotDays).toBe(60);
    expect((await windowOf(10)).hotDays).toBe(60);
    expect(await windowOf(90)).toEqual({ hotDays: 90, announcement: undefined });
  });
});
