import { startServer } from '../../src/server.ts';
import { readSettings } from '../../src/settings.ts';
import { createTestDatabase } from './postgres.ts';

/** Whatever JSON came back: tests compare it as a whole. */
type JsonBody = ReturnType<typeof JSON.parse>;

export interface TestServer {
  readonly url: string;
  readonly databaseUrl: string;
  post(
    path: string,
    body: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: JsonBody }>;
  get(path: string, headers?: Record<string, string>): Promise<{ status: number; body: JsonBody }>;
  close(): Promise<void>;
}

/** The whole server on a free port, with a database of its own. */
export async function startTestServer(environment: Record<string, string> = {}): Promise<TestServer> {
  const database = await createTestDatabase();
  const server = await startServer(
    readSettings({ PORT: '0', DATABASE_URL: database.url, NOWCAST_LOG_LEVEL: 'error', ...environment }),
  );
  const answer = async (response: Response) => {
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  };
  return {
    url: server.url,
    databaseUrl: database.url,
    post: async (path, body, headers = {}) =>
      answer(
        await fetch(`${server.url}${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
        }),
      ),
    get: async (path, headers = {}) => answer(await fetch(`${server.url}${path}`, { headers })),
    async close() {
      await server.close();
      await database.drop();
    },
  };
}
