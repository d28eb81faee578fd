/** Something that takes messages as Slack's incoming webhooks do: a real HTTP server on loopback. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

interface SlackMessage {
  /** Milliseconds since 1970. */
  atMs: number;
  /** Its line of text, without the blocks. */
  text: string;
}

export interface SlackSide {
  url: string;
  messages: SlackMessage[];
  /** The first message that fits, also one of before; rejects after `limitMs`. */
  message: (fits: (message: SlackMessage) => boolean, limitMs: number) => Promise<SlackMessage>;
  stop: () => Promise<void>;
}

export async function startSlack(): Promise<SlackSide> {
  const messages: SlackMessage[] = [];
  const waiting = new Set<() => void>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { text } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { text: string };
      messages.push({ atMs: Date.now(), text });
      response.end('ok');
      for (const look of waiting) look();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/services/T/B/x`,
    messages,
    message: (fits, limitMs) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(look);
          reject(new Error(`Slack did not hear of it within ${limitMs} ms`));
        }, limitMs);
        const look = () => {
          const found = messages.find(fits);
          if (found === undefined) return;
          waiting.delete(look);
          clearTimeout(timer);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
