import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import { maxAnswerBytes, type Send } from './post.ts';

/**
 * Sends by `node:http`. Unlike those of `fetch`, its sockets can be made to keep no process alive: a program that is
 * done ends, whatever the collector does.
 */
export function nodeSend(): Send {
  const agents = {
    'http:': new http.Agent({ keepAlive: true }),
    'https:': new https.Agent({ keepAlive: true }),
  };
  return (url, { headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const secure = url.startsWith('https:');
      const request = (secure ? https : http).request(url, {
        method: 'POST',
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        agent: agents[secure ? 'https:' : 'http:'],
        signal,
      });
      request.on('socket', unrefSocket);
      request.on('error', reject);
      request.on('response', (response) => {
        let text = '';
        let bytes = 0;
        const answered = () =>
          resolve({
            status: response.statusCode ?? 0,
            retryAfter: response.headers['retry-after'] ?? null,
            text,
          });
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
          bytes += part.length;
          if (bytes > maxAnswerBytes) response.destroy();
        });
        // Cut off on its way: the status has said what counts.
        response.on('error', answered);
        response.on('close', answered);
        response.on('end', answered);
      });
      request.end(body);
    });
}

function unrefSocket(socket: Socket): void {
  socket.unref();
  // Each address that a name has is tried on a handle of its own.
  if (socket.connecting) socket.on('connectionAttempt', () => socket.unref());
}
