import { simulateReadableStream } from 'ai';

/**
 * A language model that answers by itself, in the form in which the AI SDK wants providers. Every twentieth call is
 * refused, as a busy provider refuses it.
 *
 * @param {{ msPerToken?: number }} [options]
 * @returns {import('@ai-sdk/provider').LanguageModelV3}
 */
export function mockModel({ msPerToken = 2 } = {}) {
  let calls = 0;

  /** @param {import('@ai-sdk/provider').LanguageModelV3CallOptions} options */
  const streamParts = ({ prompt }) => {
    calls++;
    if (calls % 20 === 0) {
      throw Object.assign(new Error('the model is overloaded'), { statusCode: 529, code: 'overloaded' });
    }
    const isBrief = JSON.stringify(prompt[0]).includes('one sentence');
    const words = Array.from({ length: isBrief ? 12 : 40 }, (_, at) => `word${at} `);
    /** @type {import('@ai-sdk/provider').LanguageModelV3StreamPart[]} */
    const parts = [
      { type: 'stream-start', warnings: [] },
      { type: 'response-metadata', id: `answer-${calls}`, modelId: 'mock-1.5', timestamp: new Date() },
      { type: 'text-start', id: '1' },
      ...words.map((delta) => ({ type: /** @type {const} */ ('text-delta'), id: '1', delta })),
      { type: 'text-end', id: '1' },
      {
        type: 'finish',
        finishReason: { unified: 'stop', raw: 'stop' },
        usage: {
          inputTokens: { total: 220, noCache: 20, cacheRead: 200, cacheWrite: undefined },
          outputTokens: { total: words.length, text: words.length, reasoning: undefined },
        },
      },
    ];
    return parts;
  };

  return {
    specificationVersion: 'v3',
    provider: 'mock',
    modelId: 'mock',
    supportedUrls: {},
    async doStream(options) {
      const chunks = streamParts(options);
      return {
        stream: simulateReadableStream({
          chunks,
          initialDelayInMs: msPerToken * 5,
          chunkDelayInMs: msPerToken,
        }),
      };
    },
    async doGenerate() {
      throw new Error('this example streams');
    },
  };
}
