// `npm run demo`: a real AI system beside Nowcast, the OCR service of examples/ocr-service. Installs what it needs,
// starts what does not run yet, sends images, and stops what it started.
import './supported.mjs';
// Not by name: Node 16 has no parseArgs, and is to hear that it is too old.
import util from 'node:util';
import { installIfNeeded } from './install.mjs';
import { StepError } from './run.mjs';

const USAGE = `npm run demo [-- options]
  --minutes N        how long it runs (default 10; up to 3 more until its alert is over, where it shows that)
  --new-version N    seconds until the worse version takes half of the images (default 40)
  --once N           send N images as fast as they are read, half of them to the new version, and end`;

const options = readOptions();
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (!stop.signal.aborted) console.log('\nStopping what the demo started.');
    stop.abort();
  });
}
let expected = (error) => error instanceof StepError;
try {
  await installIfNeeded('demo');
  const { buildStale } = await import('./build.mjs');
  await buildStale();
  const { DemoError } = await import('../examples/ocr-service/demo/children.js');
  expected = (error) => error instanceof StepError || error instanceof DemoError;
  const { runDemo } = await import('../examples/ocr-service/demo/run.js');
  if (!stop.signal.aborted) await runDemo(options, stop.signal);
} catch (error) {
  console.error(expected(error) ? error.message : error);
  process.exitCode = 1;
}

function readOptions() {
  try {
    const { values } = util.parseArgs({
      options: {
        minutes: { type: 'string', default: '10' },
        'new-version': { type: 'string', default: '40' },
        once: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    return {
      minutes: positive('--minutes', values.minutes),
      newVersionAfterSeconds: positive('--new-version', values['new-version']),
      once: values.once === undefined ? undefined : positive('--once', values.once),
    };
  } catch (error) {
    console.error(`${error.message}\n\n${USAGE}`);
    process.exit(2);
  }
}

function positive(name, text) {
  const value = Number(text);
  if (value > 0 && value < 100_000) return value;
  throw new Error(`${name} must be a number above 0, not "${text}".`);
}
