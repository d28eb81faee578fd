import { fileURLToPath } from 'node:url';

/** The command itself, for what runs in a process of its own. */
export const cliPath = fileURLToPath(new URL('../../bin/nowcast.mjs', import.meta.url));
