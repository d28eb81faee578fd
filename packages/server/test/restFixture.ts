/** A real server with the REST door over a real database, and real supabase-js clients for it. */
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import Fastify, { type FastifyInstance } from 'fastify';
import pg from 'pg';
import ws from 'ws';
import { type Catalog, loadCatalog } from '../src/deliver/catalog.ts';
import { type Publication, publish, type Scope } from '../src/deliver/published.ts';
import { type RestDependencies, registerRest } from '../src/deliver/rest/routes.ts';
import { BodyBudget } from '../src/ingest/receivedBody.ts';
import { createTestDatabase } from './support/postgres.ts';

export interface RestServer {
  url: string;
  app: FastifyInstance;
  pool: pg.Pool;
  catalog: Catalog;
  anon: SupabaseClient;
  service: SupabaseClient;
  /** A plain request with the service key. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  close(): Promise<void>;
}

/** `setup` is SQL for tables and functions of the test's own; those named `probe…` are published. */
export async function startRest(
  setup = '',
  options: Partial<RestDependencies> & { pipeline?: boolean } = {},
): Promise<RestServer> {
  const { pipeline = true, ...overrides } = options;
  const database = await createTestDatabase();
  const pool = new pg.Pool({ connectionString: database.url, max: 10, pipeline });
  pool.on('error', () => {}); // a test kills connections; idle ones report it here
  if (setup !== '') await pool.query(setup);
  // A clock of its own, on which every miss comes more than a second after the one before.
  let clockMs = 0;
  const catalog = await loadCatalog(pool, () => {
    clockMs += 2_000;
    return clockMs;
  });
  const app = Fastify({ http: { maxHeaderSize: 65_536 } });
  const publication = withProbes(publish());
  const bodies = new BodyBudget(64 * 2 ** 20);
  registerRest(app, { pool, catalog, scopeOf, publication, bodies, ...overrides });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return {
    url,
    app,
    pool,
    catalog,
    anon: client(url, 'anon-key'),
    service: client(url, 'service-key'),
    fetch: (path, init = {}) =>
      fetch(`${url}${path}`, { ...init, headers: { apikey: 'service-key', ...init.headers } }),
    async close() {
      await app.close();
      await pool.end();
      await database.drop();
    },
  };
}

export function client(url: string, key: string): SupabaseClient {
  // Node before 22 has no WebSocket of its own, and createClient insists on one.
  return createClient(url, key, { realtime: { transport: ws as never } });
}

function scopeOf(request: { headers: Record<string, unknown> }): Scope | undefined {
  if (request.headers.apikey === 'anon-key') return 'anon';
  if (request.headers.apikey === 'service-key') return 'service';
  return undefined;
}

function withProbes(base: Publication): Publication {
  const probe = (name: string) => name.startsWith('probe');
  return {
    ...base,
    mayRead: (scope, name) => probe(name) || base.mayRead(scope, name),
    readableColumns: (scope, relation) =>
      probe(relation.name) ? relation.columns : base.readableColumns(scope, relation),
    writableColumns: (scope, action, relation) =>
      probe(relation.name) && scope === 'service'
        ? relation.columns
        : base.writableColumns(scope, action, relation),
    mayCall: (scope, name) => probe(name) || base.mayCall(scope, name),
  };
}
