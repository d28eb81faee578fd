import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { type Provider, type ProviderAnswer, startProvider } from './provider.ts';
import { type Recorded, record } from './recorded.ts';

export interface WithProvider {
  readonly recorded: Recorded;
  readonly provider: Provider;
  /** What the provider answers to its request of this number. */
  answer: (number: number) => ProviderAnswer;
}

/** For the tests of one file, a provider and a client of Nowcast whose events each test looks at. */
export function withProvider(): WithProvider {
  let recorded: Recorded;
  let provider: Provider;
  const set: WithProvider = {
    get recorded() {
      return recorded;
    },
    get provider() {
      return provider;
    },
    answer: () => ({ status: 500, json: {} }),
  };
  beforeAll(async () => {
    recorded = await record();
    provider = await startProvider((_request, number) => set.answer(number));
  });
  afterAll(async () => {
    await recorded.close();
    await provider.close();
  });
  // A test that records what it does not look at would be found by the next one.
  afterEach(async () => expect(await recorded.events()).toEqual([]));
  return set;
}
