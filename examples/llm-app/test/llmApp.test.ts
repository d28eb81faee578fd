import { Nowcast } from 'nowcast-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../../../packages/server/test/support/server.ts';
import { ask, assistant } from '../src/assistant.js';
import { mockModel } from '../src/mockProvider.js';

let nowcast: TestServer;
beforeAll(async () => {
  nowcast = await startTestServer();
});
afterAll(() => nowcast.close());

test('fifty questions of ten users to two prompts are compared in the database, without a word of them', async () => {
  // A verdict that a slow machine does not store in time is not sent again.
  const client = new Nowcast({ url: nowcast.url, client: 'llm-app', timeoutMs: 60_000 });
  expect(await ask(assistant(mockModel({ msPerToken: 0 }), client), 50)).toEqual({ failures: 2 });
  await expect.poll(() => client.flush()).toBe(true);
  await client.close();

  // A thumb that came before its event is attached a moment after it.
  const rated = '/rest/v1/inference_logs?select=id&feature=eq.support&feedback=not.is.null';
  await expect.poll(async () => (await nowcast.get(rated)).body.length).toBe(48);
  const { body } = await nowcast.get('/rest/v1/inference_logs?feature=eq.support&order=id');
  const rows = body as Record<string, unknown>[];
  expect(rows).toHaveLength(50);
  expect(JSON.stringify(rows)).not.toContain('order?');
  const errors = rows.filter(({ is_error }) => is_error);
  expect(errors).toMatchObject([
    { error_message: 'the model is overloaded', metadata: { error_status: 529, error_code: 'overloaded' } },
    { error_message: 'the model is overloaded' },
  ]);
  for (const [variant, outputTokens, feedback] of [
    ['thorough', 40, -1],
    ['brief', 12, 1],
  ]) {
    const answered = rows.filter((row) => row.variant === variant && !row.is_error);
    expect(answered.length).toBeGreaterThan(20);
    for (const row of answered)
      expect(row).toMatchObject({
        model_version: 'mock-1.5',
        provider: 'mock',
        input_tokens: 220,
        cached_input_tokens: 200,
        output_tokens: outputTokens,
        ttft_ms: expect.any(Number),
        user_id: expect.stringMatching(/^user-\d$/),
        feedback,
      });
  }
});
