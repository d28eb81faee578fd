/**
 * What one authorised request leads to. Reads are planned at once, so that a mistake is answered without waiting,
 * and run through the read queue; writes run one by one through a limiter.
 */
import type { FastifyRequest } from 'fastify';
import type pg from 'pg';
import type { Catalog, Relation } from '../catalog.ts';
import { type Publication, publish, type Scope, type WriteAction } from '../published.ts';
import type { RestQuery } from './ast.ts';
import {
  type CallArguments,
  type CallResult,
  chooseOverload,
  parseCallBody,
  planCall,
  resultOf,
  splitCallParameters,
} from './call.ts';
import type { CoalescerLimits } from './coalesce.ts';
import { runRead, runWrite } from './database.ts';
import { notAllowed, RestError, unknownTable } from './errors.ts';
import { quoteIdentifier, type Source } from './expression.ts';
import { Limiter } from './limiter.ts';
import { parseQuery } from './parse.ts';
import { type Format, narrowByRange, type Preferences, parseAccept, parsePrefer } from './prefer.ts';
import { planRead, type ReadPlan, type ReadRow } from './read.ts';
import { ReadQueue, readKey } from './readQueue.ts';
import { checkWrite, type RestResponse, readResponse, writeResponse } from './response.ts';
import type { RestRoles } from './roles.ts';
import { planWrite } from './write.ts';

export interface DoorOptions {
  pool: pg.Pool;
  catalog: Catalog;
  /** What which scope may touch; by default the standard allow-list. */
  publication?: Publication;
  readLimits?: Partial<CoalescerLimits>;
  /** Under which each scope reads; by default the pool's own. */
  roles?: RestRoles | undefined;
}

export class RestDoor {
  readonly #pool: pg.Pool;
  readonly #catalog: Catalog;
  readonly #publication: Publication;
  readonly #roles: RestRoles | undefined;
  readonly #reads: ReadQueue<RestResponse>;
  readonly #writes: Limiter;

  constructor({ pool, catalog, publication = publish(), readLimits = {}, roles }: DoorOptions) {
    const share = (part: number) => Math.max(1, Math.floor((pool.options.max ?? 10) * part));
    this.#pool = pool;
    this.#catalog = catalog;
    this.#publication = publication;
    this.#roles = roles;
    this.#reads = new ReadQueue({ ...READ_LIMITS, maxRunning: share(READ_SHARE), ...readLimits });
    this.#writes = new Limiter('writes', share(WRITE_SHARE), MAX_WAITING_WRITES);
  }

  close(): void {
    this.#reads.close();
  }

  async answer(request: FastifyRequest, scope: Scope): Promise<RestResponse> {
    const path = (request.params as { '*'?: string })['*'] ?? '';
    const headers: Headers = {
      preferences: parsePrefer(headerText(request, 'prefer')),
      format: parseAccept(request.headers.accept),
    };
    checkProfile(request);
    const [first = '', second, ...more] = path.split('/');
    if (first === 'rpc' && second !== undefined && second !== '' && more.length === 0) {
      return this.#call(second, request, scope, headers);
    }
    if (first === '' || second !== undefined) {
      throw new RestError(404, 'PGRST125', 'Invalid path specified in request URL');
    }
    switch (request.method) {
      case 'GET':
      case 'HEAD':
        return this.#read(first, request, scope, headers);
      case 'POST':
        return this.#write('insert', first, request, scope, headers);
      case 'PATCH':
        return this.#write('update', first, request, scope, headers);
      case 'DELETE':
        return this.#write('delete', first, request, scope, headers);
      default:
        throw new RestError(405, 'PGRST117', `Unsupported HTTP method: ${request.method}`);
    }
  }

  async #read(name: string, request: FastifyRequest, scope: Scope, headers: Headers): Promise<RestResponse> {
    const planned = await this.#planned((): PlannedRead => {
      const relation = this.#relation(name, scope);
      const query = narrowed(parseQuery(parametersOf(request), relation.name), request);
      const plan = planRead({
        source: this.#source(relation, scope),
        from: () => `"public".${quoteIdentifier(relation.name)}`,
        query,
        count: headers.preferences.count,
        format: headers.format,
        headersOnly: request.method === 'HEAD',
      });
      return { plan, query, result: 'rows' };
    });
    return this.#runRead(planned, request, scope, headers);
  }

  async #call(name: string, request: FastifyRequest, scope: Scope, headers: Headers): Promise<RestResponse> {
    const byUrl = request.method === 'GET' || request.method === 'HEAD';
    if (!byUrl && request.method !== 'POST') {
      throw new RestError(405, 'PGRST101', `Cannot use the ${request.method} method on RPC`);
    }
    if (byUrl && this.#publication.mayCall(scope, name) && this.#publication.writes(name)) {
      throw new RestError(405, 'PGRST101', `Cannot use the ${request.method} method on RPC`, {
        hint: `Function ${name} changes something: call it by POST.`,
      });
    }
    const planned = await this.#planned((): PlannedRead => {
      const overloads = this.#publication.mayCall(scope, name) ? this.#catalog.function(name) : [];
      const parameters = parametersOf(request);
      let callArguments: CallArguments;
      let rest: Iterable<[string, string]> = parameters;
      if (byUrl) ({ callArguments, rest } = splitCallParameters(parameters, overloads));
      else callArguments = parseCallBody(bodyOf(request));
      const known = this.#publication.functionNames(scope);
      const signature = chooseOverload(name, overloads, callArguments, known);
      const refused = this.#publication.refusedArgument(scope, name, callArguments.values);
      if (refused !== undefined) throw notAllowed(scope, `this value of ${refused} of function ${name}`);
      const query = narrowed(parseQuery(rest, name), request);
      const plan = planCall(
        signature,
        callArguments,
        {
          query,
          count: headers.preferences.count,
          format: headers.format,
          headersOnly: request.method === 'HEAD',
        },
        scope,
      );
      return { plan, query, result: resultOf(signature) };
    });
    return this.#publication.writes(name)
      ? this.#runCall(planned, headers)
      : this.#runRead(planned, request, scope, headers);
  }

  async #runCall({ plan, query, result }: PlannedRead, headers: Headers): Promise<RestResponse> {
    const row = await this.#writes.run(() =>
      this.#refreshingOnMiss(() => runWrite<ReadRow>(this.#pool, plan.statement, () => undefined)),
    );
    return readResponse(
      { row, estimate: undefined },
      { ...headers, window: query, prefix: plan.prefix, headersOnly: false, result },
    );
  }

  #runRead(
    planned: PlannedRead,
    request: FastifyRequest,
    scope: Scope,
    headers: Headers,
  ): Promise<RestResponse> {
    const key = readKey({
      scope,
      method: request.method,
      url: request.raw.url,
      accept: request.headers.accept,
      prefer: request.headers.prefer,
      range: request.headers.range,
      body: bodyOf(request),
    });
    const { plan, query, result } = planned;
    return this.#reads.run(key, async () => {
      const outcome = await this.#refreshingOnMiss(() => runRead(this.#pool, plan, this.#roles?.[scope]));
      return readResponse(outcome, {
        ...headers,
        window: query,
        prefix: plan.prefix,
        headersOnly: request.method === 'HEAD',
        result,
      });
    });
  }

  async #write(
    action: WriteAction,
    name: string,
    request: FastifyRequest,
    scope: Scope,
    { preferences, format }: Headers,
  ): Promise<RestResponse> {
    const plan = await this.#planned(() => {
      const relation = this.#relation(name, scope);
      const writable = this.#publication.writableColumns(scope, action, relation);
      if (!writable) throw notAllowed(scope, `table ${relation.name}`);
      return planWrite({
        action,
        relation,
        writable,
        updatable: this.#publication.writableColumns(scope, 'update', relation),
        source: this.#source(relation, scope),
        query: parseQuery(parametersOf(request), relation.name),
        preferences,
        format,
        body: bodyOf(request),
      });
    });
    const row = await this.#writes.run(() =>
      this.#refreshingOnMiss(() =>
        runWrite(this.#pool, plan.statement, (written) => checkWrite(written, format, preferences)),
      ),
    );
    return writeResponse(row, action, format, preferences, plan.prefix);
  }

  #relation(name: string, scope: Scope): Relation {
    const relation = this.#publication.mayRead(scope, name) ? this.#catalog.relation(name) : undefined;
    if (!relation) throw unknownTable(name, this.#publication.relationNames(scope));
    return relation;
  }

  #source(relation: Relation, scope: Scope): Source {
    const columns = this.#publication.readableColumns(scope, relation);
    const hidden = relation.columns.filter((column) => !columns.includes(column)).map(({ name }) => name);
    return { name: relation.name, columns, hidden, scope };
  }

  /** A name that the catalog lacks may be younger than it: look again, once, before the client hears no. */
  async #planned<T>(plan: () => T): Promise<T> {
    try {
      return plan();
    } catch (error) {
      if (!(error instanceof RestError) || !CATALOG_MISSES.has(error.code)) throw error;
      await this.#catalog.refresh();
      return plan();
    }
  }

  /** The other way round: PostgreSQL misses what the catalog still names. The next request will know. */
  async #refreshingOnMiss<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof Error && 'code' in error && CATALOG_MISSES.has(String(error.code))) {
        await this.#catalog.refresh();
      }
      throw error;
    }
  }
}

/** The default pool has ten connections: four for reads here, two for writes, the rest for everything else. */
const READ_SHARE = 0.4;
const WRITE_SHARE = 0.2;
const MAX_WAITING_WRITES = 1_000;

const READ_LIMITS: Omit<CoalescerLimits, 'maxRunning'> = {
  minIntervalMs: 100,
  maxKeys: 1_000,
  // A browser has six requests to one host under way, so this serves well over a thousand open tabs.
  maxWaiting: 10_000,
};

/** What the planning of a read leads to, before it is known when it runs. */
interface PlannedRead {
  plan: ReadPlan;
  query: RestQuery;
  result: CallResult;
}

interface Headers {
  preferences: Preferences;
  format: Format;
}

const CATALOG_MISSES: ReadonlySet<string> = new Set([
  'PGRST202',
  'PGRST204',
  'PGRST205',
  '42703',
  '42P01',
  '42883',
]);

function narrowed(query: RestQuery, request: FastifyRequest): RestQuery {
  return { ...query, ...narrowByRange(query, request.headers.range) };
}

export function parametersOf(request: FastifyRequest): URLSearchParams {
  const url = request.raw.url ?? '';
  const at = url.indexOf('?');
  return new URLSearchParams(at < 0 ? '' : url.slice(at + 1));
}

function bodyOf(request: FastifyRequest): string {
  return typeof request.body === 'string' ? request.body : '';
}

function headerText(request: FastifyRequest, name: string): string {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(',') : (value ?? '');
}

function checkProfile(request: FastifyRequest): void {
  const reading = request.method === 'GET' || request.method === 'HEAD';
  const schema = headerText(request, reading ? 'accept-profile' : 'content-profile');
  if (schema !== '' && schema !== 'public') {
    throw new RestError(406, 'PGRST106', `Invalid schema: ${schema}`, {
      hint: 'Only the following schemas are exposed: public',
    });
  }
}
