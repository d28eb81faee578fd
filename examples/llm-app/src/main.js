// node src/main.js [questions]: asks the assistant, and rates what it says. Nowcast's address in TELEMETRY_URL
// (http://127.0.0.1:4318) and, where Nowcast has keys, an ingest key in TELEMETRY_KEY.
import { Nowcast } from 'nowcast-client';
import { ask, assistant } from './assistant.js';
import { mockModel } from './mockProvider.js';

const { TELEMETRY_URL = 'http://127.0.0.1:4318', TELEMETRY_KEY } = process.env;
const questions = Number(process.argv[2] ?? 50);

const nowcast = new Nowcast({ url: TELEMETRY_URL, key: TELEMETRY_KEY, client: 'llm-app' });
const support = assistant(mockModel(), nowcast);
const { failures } = await ask(support, questions);
await nowcast.close({ timeoutMs: 5_000 });
console.log(`${questions} questions, ${failures} without an answer; ${JSON.stringify(nowcast.stats())}`);
