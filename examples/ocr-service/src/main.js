// node src/main.js: OCR_PORT (5005), NOWCAST's address in TELEMETRY_URL (http://127.0.0.1:4318) and, where Nowcast has
// keys, an ingest key in TELEMETRY_KEY.
import { Nowcast } from 'nowcast-client';
import { loadModels } from './models.js';
import { startService } from './service.js';

const { OCR_PORT = '5005', TELEMETRY_URL = 'http://127.0.0.1:4318', TELEMETRY_KEY } = process.env;

const nowcast = new Nowcast({ url: TELEMETRY_URL, key: TELEMETRY_KEY, client: 'ocr-service' });
const models = await loadModels();
const service = await startService({ models, nowcast, port: Number(OCR_PORT) });
console.log(`The OCR service is ready at ${service.url}: POST an image to ${service.url}/ocr`);

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await service.close();
    await models.close();
    await nowcast.close();
  });
}
