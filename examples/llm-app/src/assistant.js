import { randomUUID } from 'node:crypto';
import { streamText } from 'ai';
import { observeModel } from 'nowcast-client/ai';

/** The two prompts that are compared; a user stays with one of them. */
const prompts = {
  thorough: 'Answer in full and name every step.',
  brief: 'Answer in one sentence.',
};

/**
 * @param {import('ai').LanguageModel & object} model
 * @param {import('nowcast-client').Nowcast} nowcast
 */
export function assistant(model, nowcast) {
  const observed = observeModel(/** @type {import('@ai-sdk/provider').LanguageModelV3} */ (model), nowcast);

  return {
    /**
     * @param {string} question
     * @param {{ userId: string, userNumber: number }} user
     * @returns {Promise<{ text: string, traceId: string }>} the id, so that the user's thumb finds the event
     */
    async answer(question, { userId, userNumber }) {
      const variant = userNumber % 2 === 0 ? 'thorough' : 'brief';
      const traceId = randomUUID();
      return await nowcast.context(
        { feature: 'support', variant, user_id: userId, trace_id: traceId },
        async () => {
          /** @type {unknown} */
          let failure;
          const { textStream } = streamText({
            model: observed,
            system: prompts[variant],
            prompt: question,
            maxRetries: 0,
            onError: ({ error }) => {
              failure = error;
            },
          });
          let text = '';
          for await (const part of textStream) text += part;
          if (failure !== undefined) throw failure;
          return { text, traceId };
        },
      );
    },

    /**
     * @param {string} traceId
     * @param {1 | -1} thumb
     */
    rate: (traceId, thumb) => nowcast.feedback({ trace_id: traceId, feedback: thumb }),
  };
}

/**
 * Ten users ask in turn and rate what they get; most want it short.
 *
 * @param {ReturnType<typeof assistant>} support
 * @param {number} questions
 */
export async function ask(support, questions) {
  let failures = 0;
  for (let number = 0; number < questions; number++) {
    try {
      const user = { userId: `user-${number % 10}`, userNumber: number % 10 };
      const { text, traceId } = await support.answer('Where is my order?', user);
      await support.rate(traceId, text.length < 150 ? 1 : -1);
    } catch {
      failures++;
    }
  }
  return { failures };
}
