import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type RestServer, startRest } from './restFixture.ts';

let server: RestServer;
beforeAll(async () => {
  server = await startRest(
    'create table public.probe (id int primary key, name text, tags text[], meta jsonb)',
  );
});
afterAll(() => server.close());

/** What PostgreSQL can store as text: no NUL, whole code points. */
const storable = fc
  .string({ unit: 'grapheme', minLength: 0, maxLength: 30 })
  .filter((text) => !text.includes('\0'));
const nasty = fc.constantFrom(
  '"',
  '\\',
  "'",
  '%',
  '*',
  '_',
  ',',
  '.',
  ':',
  '(',
  ')',
  '{',
  '}',
  '&',
  '+',
  '#',
  'null',
  ' x ',
  '%27',
  '$1',
  '\n',
);
const text = fc.oneof(
  storable,
  fc.array(fc.oneof(nasty, storable), { maxLength: 6 }).map((parts) => parts.join('')),
);

it('finds a stored text by itself, through every operator that can name it', async () => {
  let id = 0;
  await fc.assert(
    fc.asyncProperty(text, async (value) => {
      id++;
      const quoted = `"${value.replace(/[\\"]/g, '\\$&')}"`;
      const inserted = await server.service
        .from('probe')
        .insert({ id, name: value, tags: [value], meta: { [value]: value } });
      expect(inserted.error).toBeNull();
      const rows = () => server.service.from('probe').select('name, tags, meta').eq('id', id);
      const pattern = value.replace(/[\\%_]/g, '\\$&');
      const regex = `^${value.replace(/[^\p{L}\p{N}]/gu, (char) => `\\U${char.codePointAt(0)!.toString(16).padStart(8, '0')}`)}$`;
      const queries = [
        rows().eq('name', value),
        rows().filter('name', 'in', `(${quoted})`),
        rows().not('name', 'neq', value),
        rows().not('name', 'isdistinct', value),
        rows().gte('name', value).lte('name', value),
        rows().or(`name.eq.${quoted},name.in.(${quoted})`),
        rows().filter('name', 'eq(any)', `{${quoted}}`),
        rows().filter('tags', 'cs', `{${quoted}}`),
        rows().filter('tags', 'in', `("{${quoted.replace(/[\\"]/g, '\\$&')}}")`),
        rows().contains('meta', { [value]: value }),
        rows().eq(`meta->>${quoted}`, value),
        rows().eq(`meta->${quoted}`, JSON.stringify(value)),
        // `*` means `%` in a pattern, so a text that holds one is matched but not named exactly.
        rows().like('name', pattern),
        rows().filter('name', 'match', regex),
      ];
      for (const { data, error } of await Promise.all(queries)) {
        expect(error).toBeNull();
        expect(data).toEqual([{ name: value, tags: [value], meta: { [value]: value } }]);
      }
    }),
    { numRuns: 40 },
  );
});
