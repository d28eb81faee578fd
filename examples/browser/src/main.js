import { Nowcast } from 'nowcast-client';
import { judge } from './model.js';

// Of a deployed page both would be constants; an ingest key may be public.
const settings = new URLSearchParams(location.hash.slice(1));
const nowcast = new Nowcast({
  url: settings.get('nowcast') ?? 'http://127.0.0.1:4318',
  key: settings.get('key') ?? undefined,
  client: 'review-page',
  defaults: { feature: 'reviews', metadata: { language: navigator.language } },
});

const review = /** @type {HTMLTextAreaElement} */ (document.querySelector('#review'));
const verdict = /** @type {HTMLOutputElement} */ (document.querySelector('#verdict'));

document.querySelector('#judge')?.addEventListener('click', async () => {
  const { label, score } = await nowcast.observe(
    { model_version: 'review-judge-1', input_size_bytes: review.value.length },
    () => judge(review.value),
    (judged) => ({ prediction_class: judged.label, confidence_score: judged.score }),
  );
  verdict.value = `${label} (${Math.round(score * 100)} %)`;
});
