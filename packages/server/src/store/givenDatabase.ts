import pg from 'pg';
import { StartupError } from '../startupError.ts';

/** Partitions, `xid8` snapshots and views with the caller's rights are all there from this version on. */
const oldestMajor = 15;
/** For connecting and for each question; a database on another continent answers within one. */
const answerTimeoutMs = 5_000;
/** Looks at a pooler that hands out sessions in turn; each catches one of two or more sessions. */
const poolerLooks = 3;

/**
 * Makes sure that a database which somebody gave can carry Nowcast, before anything is changed in it.
 *
 * @throws StartupError with one sentence that says what to do; never with the password
 */
export async function checkGivenDatabase(url: string, timeoutMs = answerTimeoutMs): Promise<void> {
  refuseMisreadPassword(url);
  const client = newClient(url, timeoutMs);
  try {
    await client.connect();
    await checkServer(client);
    await refuseTransactionPooler(client, newClient(url, timeoutMs));
  } catch (error) {
    throw asStartupError(client, error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Version, rights and whether it can be written at all. */
async function checkServer(client: pg.Client): Promise<void> {
  // Alone: the next question uses what old versions lack.
  const { rows: versions } = await client.query<{ server_version: string }>('show server_version');
  const version = versions[0]!.server_version;
  if (Number.parseInt(version, 10) < oldestMajor) {
    throw new StartupError(
      `The database at ${placeOf(client)} is PostgreSQL ${version} and Nowcast needs ${oldestMajor} or newer: upgrade it, point DATABASE_URL at another one, or unset it for the embedded PostgreSQL.`,
    );
  }
  const { rows } = await client.query<{ readonly: boolean; role: string; may_create: boolean }>(
    `select current_setting('transaction_read_only') = 'on' as readonly, current_user as role,
       to_regnamespace('nowcast') is not null
         or has_database_privilege(current_database(), 'create')
            and coalesce(has_schema_privilege(to_regnamespace('public'), 'create'), false) as may_create`,
  );
  const { readonly, role, may_create: mayCreate } = rows[0]!;
  if (readonly) {
    throw new StartupError(
      `The database at ${placeOf(client)} is read-only, as a replica is: point DATABASE_URL at the primary.`,
    );
  }
  if (!mayCreate) {
    throw new StartupError(
      `The role ${role} may not create schemas and tables in the database ${client.database}: make it the database's owner (ALTER DATABASE ${client.database} OWNER TO ${role}), or put the owner into DATABASE_URL.`,
    );
  }
}

/**
 * Refuses a pooler that lends a session for one transaction at a time (PgBouncer, Supavisor and others): LISTEN and
 * prepared statements belong to a session.
 *
 * Told by what it does, since every product can listen on any port, and none has to say what it is: two connections
 * that are open at the same time never share a PostgreSQL session unless somebody shares it out. The second one
 * keeps a transaction open meanwhile, so that a pooler with several sessions has to give the first one another
 * than before. A pooler in session mode passes, and serves Nowcast well.
 */
async function refuseTransactionPooler(client: pg.Client, other: pg.Client): Promise<void> {
  const first = await sessionOf(client);
  try {
    await other.connect();
    for (let look = 0; look < poolerLooks; look++) {
      await other.query('begin');
      // Before the first one is asked: a pooler with a single session would keep it waiting.
      const shared = (await sessionOf(other)) === first || (await sessionOf(client)) !== first;
      await other.query('rollback');
      if (shared) throw poolerError(client);
    }
  } finally {
    await other.end().catch(() => undefined);
  }
}

function poolerError(client: pg.Client): StartupError {
  const supabase = client.port === 6543 ? ' (on Supabase port 5432 instead of 6543)' : '';
  return new StartupError(
    `DATABASE_URL leads through a connection pooler in transaction mode at ${placeOf(client)}, which is unfit for the feed because LISTEN and prepared statements need a session of their own: use the database's direct address, or the pooler's session mode${supabase}.`,
  );
}

async function sessionOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  return rows[0]!.pid;
}

function newClient(url: string, timeoutMs: number): pg.Client {
  try {
    const client = new pg.Client({
      connectionString: url,
      application_name: 'nowcast check',
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
    });
    // The question under way reports it.
    client.on('error', () => undefined);
    return client;
  } catch (error) {
    // The only files that reading a URL opens are the certificates it names.
    const { code, path } = error as NodeJS.ErrnoException;
    const sentence =
      path === undefined
        ? 'DATABASE_URL cannot be understood: write it like postgresql://user:password@host:5432/database, special characters in the password as %XX.'
        : `The certificate file ${path} that DATABASE_URL names cannot be read (${code}): correct its path.`;
    throw new StartupError(sentence);
  }
}

/**
 * `user:12/34@host` is a valid URL with the host "user", the port 12 and the path "/34@host": naming those would
 * print half of the password.
 */
function refuseMisreadPassword(url: string): void {
  const { username, pathname, search, hash, searchParams } = new URL(url);
  if (username !== '' || searchParams.has('user') || !`${pathname}${search}${hash}`.includes('@')) return;
  throw new StartupError(
    'DATABASE_URL names no user, and an @ stands where none can: write special characters in the password as %XX (/ is %2F, # is %23, ? is %3F).',
  );
}

/** What went wrong as one sentence that says what to do. What PostgreSQL says never holds the password. */
function asStartupError(client: pg.Client, error: unknown): StartupError {
  if (error instanceof StartupError) return error;
  const { code } = error as { code?: string };
  const message = error instanceof Error ? error.message : String(error);
  const sentence =
    refusalOf(client, code, message) ??
    networkSentence(client, code, message) ??
    tlsSentence(client, code, message);
  return new StartupError(
    sentence ??
      `The database at ${placeOf(client)} cannot be used (${message.trim() || code}): check DATABASE_URL and the database's own log.`,
    1,
    { cause: error },
  );
}

/** What PostgreSQL itself answers, by SQLSTATE. */
function refusalOf(client: pg.Client, code: string | undefined, message: string): string | undefined {
  const { user, database } = client;
  const place = placeOf(client);
  if (code === '28P01')
    return `The database at ${place} does not accept the password of ${user}: correct user and password in DATABASE_URL (special characters as %XX).`;
  if (/client password must be/.test(message))
    return `The database at ${place} asks for a password and DATABASE_URL holds none: write it like postgresql://${user}:password@${place}/${database}.`;
  if (code === '28000' && /no encryption|SSL off/.test(message))
    return `The database at ${place} takes encrypted connections only: add ?sslmode=require to DATABASE_URL.`;
  // XX000 is what Supabase's pooler answers: its user names hold the project.
  if (code === '28000' || (code === 'XX000' && /tenant|user/i.test(message)))
    return `The database at ${place} does not let ${user} in (${message}): correct the user in DATABASE_URL, or let it in there.`;
  if (code === '3D000')
    return `There is no database ${database} at ${place}: create it, or correct the end of DATABASE_URL.`;
  if (code === '42501')
    return `The database at ${place} refuses ${user} (${message}): give it that right, or put the database's owner into DATABASE_URL.`;
  if (code === '53300')
    return `The database at ${place} has no connection left (${message}): raise its max_connections, or end what holds them.`;
  if (code === '57P03')
    return `The database at ${place} is not ready yet (${message}): start Nowcast again when it is.`;
  return undefined;
}

function networkSentence(client: pg.Client, code: string | undefined, message: string): string | undefined {
  const { host } = client;
  const place = placeOf(client);
  if (code === 'ECONNREFUSED' || code === 'ENOENT')
    return `No PostgreSQL listens at ${place}: start it, or correct host and port in DATABASE_URL.`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return `The host name ${host} cannot be found: correct it in DATABASE_URL, or check this machine's DNS.`;
  if (code === 'ENETUNREACH' || code === 'EHOSTUNREACH')
    return `The network knows no way to ${place}: check host and firewall, and where the database has an IPv6 address only, use its provider's IPv4 address or session-mode pooler.`;
  if (code === 'ETIMEDOUT' || /timeout/i.test(message))
    return `The database at ${place} did not answer in time: check host and port in DATABASE_URL, the firewall, and that PostgreSQL runs.`;
  if (code === 'ECONNRESET' || code === 'EPIPE' || /^Connection terminated|invalid response/.test(message))
    return `What listens at ${place} does not answer like a PostgreSQL: correct host and port in DATABASE_URL.`;
  return undefined;
}

function tlsSentence(client: pg.Client, code: string | undefined, message: string): string | undefined {
  const place = placeOf(client);
  if (/does not support SSL/.test(message))
    return `The database at ${place} offers no TLS: remove sslmode from DATABASE_URL, or switch TLS on there.`;
  if (/CERT|SIGNATURE|ISSUER/.test(code ?? '') || /certificate/.test(message))
    return `The TLS certificate of ${place} cannot be verified (${message}): add sslrootcert=/path/to/ca.pem to DATABASE_URL with the authority that signed it.`;
  return undefined;
}

function placeOf({ host, port }: pg.Client): string {
  if (host.startsWith('/')) return host;
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
