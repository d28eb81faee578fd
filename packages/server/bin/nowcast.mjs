#!/usr/bin/env node
// Plain JavaScript that any Node can parse: it has to speak before the build exists and on a Node that is too old.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const [major, minor] = process.versions.node.split('.').map(Number);
const cli = new URL('../dist/cli.js', import.meta.url);

if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `Nowcast needs Node 20.19 or newer and this is ${process.versions.node}: see https://nodejs.org.`,
  );
  process.exitCode = 1;
} else if (!existsSync(fileURLToPath(cli))) {
  console.error('Nowcast is not built yet: run npm start or node scripts/build.mjs in the clone first.');
  process.exitCode = 1;
} else {
  const { runCli } = await import(cli.href);
  await runCli(process.argv.slice(2));
}
