// What `npm start` runs: install if needed, build what is stale, then become the server in this very process, so that
// signals reach it.
import './supported.mjs';

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
