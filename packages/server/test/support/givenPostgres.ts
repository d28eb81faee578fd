import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { generate } from 'selfsigned';
import { giveTree, listedAccount } from '../../src/store/embedded/account.ts';
import { prepareBinaries } from '../../src/store/embedded/binaries.ts';
import { runDetached, spawnDetached } from '../../src/store/embedded/childProcess.ts';
import { reservedPort } from './ports.ts';

export interface GivenPostgres {
  /** URL of the superuser. */
  readonly url: string;
  /** File with the authority that signed the server's certificate. */
  readonly caFile: string;
  stop(): Promise<void>;
}

/** A PostgreSQL as somebody else would run it: another version than the embedded one, TLS only. */
export async function startGivenPostgres(packageName: string): Promise<GivenPostgres> {
  const home = await mkdtemp(path.join(os.tmpdir(), 'nowcast-given-'));
  await chmod(home, 0o755);
  const data = path.join(home, 'data');
  await mkdir(data, { mode: 0o700 });
  const account = listedAccount(data);
  const packageRoot = path.dirname(path.dirname(createRequire(import.meta.url).resolve(packageName)));
  const binaries = await prepareBinaries(home, { packageRoot });
  const made = await runDetached(
    binaries.initdb,
    ['-D', data, '--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-instructions'],
    { account },
  );
  if (made.code !== 0) throw new Error(made.output);

  const authority = await generate([{ name: 'commonName', value: 'test authority' }], {
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
    ],
  });
  const caFile = path.join(home, 'ca.pem');
  await writeFile(caFile, authority.cert);
  await writeFile(path.join(data, 'server.crt'), authority.cert);
  await writeFile(path.join(data, 'server.key'), authority.private, { mode: 0o600 });
  await writeFile(path.join(data, 'pg_hba.conf'), 'hostssl all all 127.0.0.1/32 trust\n');
  if (account !== undefined) {
    giveTree(data, account);
    await chown(data, account.uid, account.gid);
  }
  const port = await reservedPort();
  const server = spawnDetached(
    binaries.postgres,
    [
      ...['-D', data, '-p', String(port), '-c', 'ssl=on', '-c', 'listen_addresses=127.0.0.1'],
      ...['-c', 'unix_socket_directories='],
    ],
    { account, output: 'pipe' },
  );
  const ended = new Promise((resolve) => server.once('close', resolve));
  let said = '';
  await new Promise<void>((resolve, reject) => {
    const listen = (text: Buffer) => {
      said += text.toString();
      if (said.includes('database system is ready to accept connections')) resolve();
    };
    server.stdout!.on('data', listen);
    server.stderr!.on('data', listen);
    server.once('close', () => reject(new Error(said)));
  });
  return {
    url: `postgresql://postgres@localhost:${port}/postgres?sslmode=verify-full&sslrootcert=${caFile}`,
    caFile,
    async stop() {
      server.kill('SIGINT');
      await ended;
      await rm(home, { recursive: true, force: true });
    },
  };
}

export async function run(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
