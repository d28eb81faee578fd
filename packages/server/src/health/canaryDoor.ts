import { request as httpRequest } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { keyOf } from '../access/keys.ts';
import { failureAnswer } from '../ingest/answer.ts';
import { parseJson } from '../ingest/body.ts';
import { HttpError } from '../ingest/httpError.ts';
import type { Intake } from '../ingest/intake.ts';
import { BodyBudget, leaveBodies, ReceivedBody } from '../ingest/receivedBody.ts';
import type { Canary } from './canary.ts';

const path = '/telemetry/canary';
const maxBodyBytes = 4096;

export interface CanaryDoorDependencies {
  readonly canary: Canary;
  readonly intake: Intake;
}

/** The canary's way in, made of the same parts as everybody's: HTTP, body, JSON, check, writer. */
export function registerCanaryDoor(app: FastifyInstance, { canary, intake }: CanaryDoorDependencies): void {
  // Of its own: a sender's request that is alone must not be refused for the moment in which the canary is on its way.
  const bodies = new BodyBudget(maxBodyBytes);
  app.register(async (door) => {
    leaveBodies(door);
    door.setErrorHandler((error, request, reply) => {
      const { statusCode, body } = failureAnswer(error, request.log);
      return reply.code(statusCode).send(body);
    });
    door.post(path, async (request, reply) => {
      if (!canary.isOwnKey(keyOf(request.headers)))
        throw new HttpError(403, 'forbidden', 'the server itself posts here, and nobody else');
      const received = await ReceivedBody.of(request, reply, bodies, maxBodyBytes);
      const event = parseJson(await received.decompressed(undefined, maxBodyBytes));
      const id = (event as { trace_id?: unknown }).trace_id;
      if (typeof id !== 'string') throw new HttpError(400, 'invalid_event', 'trace_id must be a string');
      canary.taken(id);
      await intake.takeCanary(event, id);
      return { status: 'logged' };
    });
  });
}

/**
 * Posts a synthetic event to our own server, over a connection of its own. Resolves when it is committed.
 *
 * @param url `http://host:port`
 */
export function postCanary(url: string, key: string, id: string, timeoutMs: number): Promise<void> {
  const body = JSON.stringify({
    model_version: 'canary',
    inference_time_ms: 1,
    confidence_score: 1,
    input_size_bytes: 1,
    prediction_class: 'canary',
    trace_id: id,
  });
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      `${url}${path}`,
      {
        method: 'POST',
        agent: false,
        timeout: timeoutMs,
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          authorization: `Bearer ${key}`,
          connection: 'close',
        },
      },
      (response) => {
        response.resume();
        response.once('error', reject);
        response.once('end', () => {
          if (response.statusCode === 200) resolve();
          else reject(new Error(`the door answered ${response.statusCode}`));
        });
      },
    );
    request.once('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    request.once('error', reject);
    request.end(body);
  });
}
