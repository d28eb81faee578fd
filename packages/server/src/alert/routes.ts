import type { FastifyInstance } from 'fastify';
import { failureAnswer } from '../ingest/answer.ts';
import { describeKind, HttpError } from '../ingest/httpError.ts';
import type { AlertDelivery } from './delivery.ts';

/** `GET /alerts/channels` and `POST /alerts/channels/test`. */
export function registerChannels(app: FastifyInstance, delivery: AlertDelivery): void {
  app.register(async (door) => {
    door.setErrorHandler((error, request, reply) => {
      const { statusCode, body } = failureAnswer(error, request.log);
      return reply.code(statusCode).send(body);
    });

    door.get('/alerts/channels', async (_request, reply) => reply.send(await delivery.report()));

    door.post('/alerts/channels/test', { bodyLimit: 4_096 }, async (request, reply) => {
      const name = (request.body as { name?: unknown } | null)?.name;
      if (typeof name !== 'string') {
        throw new HttpError(400, 'invalid_request', `name must be a text, not ${describeKind(name)}`, 'name');
      }
      const tested = await delivery.test(name);
      if (tested === undefined) {
        throw new HttpError(
          404,
          'unknown_channel',
          'no channel has this name; GET /alerts/channels lists them',
          'name',
        );
      }
      return reply.send(tested);
    });
  });
}
