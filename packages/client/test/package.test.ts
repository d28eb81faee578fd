import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type * as Client from 'nowcast-client';
import type * as Spool from 'nowcast-client/spool';
import { beforeAll, expect, test } from 'vitest';

const require = createRequire(import.meta.url);
beforeAll(async () => {
  const build = fileURLToPath(new URL('../../../scripts/build.mjs', import.meta.url));
  await promisify(execFile)(process.execPath, [build, 'client']);
});

test('the built package can be imported and required, and is one and the same', async () => {
  const required: typeof Client & typeof Spool = {
    ...require('nowcast-client'),
    ...require('nowcast-client/spool'),
  };
  const program = `import { Nowcast } from 'nowcast-client';
    import { fileSpool } from 'nowcast-client/spool';
    console.log(typeof Nowcast, typeof fileSpool);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    cwd: import.meta.dirname,
  });
  expect(stdout.trim()).toBe('function function');
  const client = new required.Nowcast({ url: 'http://127.0.0.1:1', sampleRate: 0 });
  client.track({ model_version: 'v1', inference_time_ms: 1 });
  expect(client.stats().dropped).toEqual({ sampled: 1 });
  await client.close();
  expect(required.fileSpool).toBeTypeOf('function');
});
