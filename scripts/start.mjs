// What `npm start` runs: install if needed, build what is stale, then become the server in this very process, so that
// signals reach it. Written so that every Node since 14 can at least read it and say that it is too old.
const [major, minor] = process.versions.node.split('.').map(Number);

if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `Nowcast needs Node 20.19 or newer and this is ${process.versions.node}: see https://nodejs.org.`,
  );
  process.exit(1);
}

main();

async function main() {
  const { StepError } = await import('./run.mjs');
  try {
    const { installIfNeeded } = await import('./install.mjs');
    await installIfNeeded('run');
    const { buildStale } = await import('./build.mjs');
    await buildStale(['server', 'page']);
    const { runCli } = await import('../packages/server/dist/cli.js');
    await runCli(['start', ...process.argv.slice(2)]);
  } catch (error) {
    console.error(error instanceof StepError ? error.message : error);
    process.exit(1);
  }
}
