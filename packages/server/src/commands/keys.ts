import { type Command, Option } from 'commander';
import pg from 'pg';
import { type KeyScope, keyScopes } from '../access/keys.ts';
import { createKey, revokeKey } from '../access/keyTable.ts';
import { readSettings } from '../settings.ts';
import { StartupError } from '../startupError.ts';
import { checkGivenDatabase } from '../store/givenDatabase.ts';
import { migrate } from '../store/migrate.ts';
import { withDatabase } from './database.ts';
import { formatJson, formatTable } from './sqlOutput.ts';

const mayDo: Record<KeyScope, string> = {
  ingest: 'write events and nothing else',
  anon: 'read what is published and nothing else',
  service: 'do everything',
};
const maxNameLength = 100;

export function addKeysCommand(program: Command): void {
  const keys = program
    .command('keys')
    .description('create, list and revoke the keys that callers need (running servers follow at once)');
  keys
    .command('create')
    .description('make a key and show it once')
    .addOption(new Option('--scope <scope>', 'what it may do').choices(keyScopes).makeOptionMandatory())
    .option('--name <name>', 'who has it, for the list')
    .action(async ({ scope, name = '' }: { scope: KeyScope; name?: string }) => {
      checkName(name);
      const { key, prefix, first } = await withKeys((client) => createKey(client, scope, name));
      // Alone on stdout, so that a script can take it: KEY=$(nowcast keys create --scope ingest).
      console.log(key);
      console.error(
        `It may ${mayDo[scope]}. It is not shown again; the list and nowcast keys revoke know it as ${prefix}.`,
      );
      if (first)
        console.error('It is the first one: from now on every request needs a key, on this machine too.');
    });
  keys
    .command('list')
    .description(
      'show every key by its beginning: scope, name, when created, last used (to the minute), revoked',
    )
    .option('--json', 'print NDJSON instead of a table')
    .action(async ({ json }: { json?: boolean }) => {
      const { fields, rows } = await withKeys((client) =>
        client.query<(string | null)[]>({
          text: `select prefix, scope, name, date_trunc('second', created_at) as created,
              date_trunc('second', last_used_at) as last_used, date_trunc('second', revoked_at) as revoked
            from nowcast.keys order by created_at, prefix`,
          rowMode: 'array',
          types: { getTypeParser: () => (value: string) => value },
        }),
      );
      process.stdout.write((json ? formatJson : formatTable)(fields, rows));
    });
  keys
    .command('revoke')
    .description('end a key; what still uses it is refused at once')
    .argument('<prefix>', 'how it begins, as nowcast keys list shows it')
    .action(async (text: string) => {
      const { prefixes, already } = await withKeys((client) => revokeKey(client, text));
      // What was given may be a key: it is not repeated.
      if (prefixes.length === 0) {
        throw new StartupError('No key begins like that: nowcast keys list shows them all.', 1);
      }
      if (prefixes.length > 1) {
        throw new StartupError(
          `Several keys begin like that, and none was revoked: ${prefixes.join(', ')}.`,
          1,
        );
      }
      console.log(`${prefixes[0]} ${already ? 'was revoked before' : 'is revoked'}.`);
    });
}

function checkName(name: string): void {
  if (name.length <= maxNameLength && !/\p{Cc}/u.test(name)) return;
  throw new StartupError(`A name has up to ${maxNameLength} characters, without control characters.`, 2);
}

/** Keys may be made before the first start, so the table may have to be made as well. */
async function withKeys<Result>(use: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const settings = readSettings(process.env);
  if (settings.databaseUrl !== undefined) await checkGivenDatabase(settings.databaseUrl);
  return await withDatabase(settings, 'keys', async (url) => {
    await migrate(url);
    const client = new pg.Client({ connectionString: url, application_name: 'nowcast keys' });
    await client.connect();
    try {
      await client.query(`set timezone = 'UTC'`);
      return await use(client);
    } finally {
      await client.end();
    }
  });
}
