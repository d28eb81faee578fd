/**
 * Tells what happens, in few lines: what to look at on the page, and when.
 */
export class Story {
  /** @type {{ nowcastUrl: string, serviceUrl: string, ours: boolean }} */
  #where;
  /** @type {Map<string, import('./traffic.js').Answer[]>} by version, since the new one runs */
  #answers = new Map();
  #newVersionRuns = false;

  /** @param {{ nowcastUrl: string, serviceUrl: string, ours: boolean }} where */
  constructor(where) {
    this.#where = where;
  }

  /** @param {{ minutes: number, newVersionAfterSeconds: number }} times */
  begin({ minutes, newVersionAfterSeconds }) {
    const { nowcastUrl, serviceUrl, ours } = this.#where;
    const at = (/** @type {number} */ seconds) => clockTime(new Date(Date.now() + seconds * 1_000));
    console.log(`
Open ${nowcastUrl}${ours ? '' : ' (the Nowcast that was running already)'}

  now    ocr-v1 reads images: invoices, receipts, letters, signs. Some are blurred or turned: less confidence.
         One in 48 is damaged: an error.
  ${at(newVersionAfterSeconds)}  ocr-v2 takes over half of the images, and it is worse: a second line parts from the first in
         latency, confidence and errors. Half a minute later the verdict on top names it.
  ${at(minutes * 60)}  the end; Ctrl-C ends it sooner.${ours ? ' The events stay: npm start shows them again.' : ''}

Send an image of your own: curl --data-binary @image.png ${serviceUrl}/ocr
`);
  }

  newVersionRuns() {
    if (this.#newVersionRuns) return;
    this.#newVersionRuns = true;
    this.#answers.clear();
    console.log(`${clockTime(new Date())}  ocr-v2 takes over half of the images now.`);
  }

  /** @param {import('./traffic.js').Answer} answer */
  answered(answer) {
    const answers = this.#answers.get(answer.version) ?? [];
    this.#answers.set(answer.version, answers);
    answers.push(answer);
  }

  end() {
    for (const [version, answers] of [...this.#answers].sort()) {
      console.log(
        `${version}: ${answers.length} images, ${answers.filter(({ error }) => error).length} errors, ` +
          `median ${median(answers.map((answer) => answer.inferenceTimeMs)).toFixed(0)} ms, ` +
          `median confidence ${median(answers.map((answer) => answer.confidence)).toFixed(2)}`,
      );
    }
  }
}

/** @param {(number | null)[]} values */
function median(values) {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  return known[Math.floor(known.length / 2)] ?? Number.NaN;
}

/** @param {Date} date */
function clockTime(date) {
  return date.toTimeString().slice(0, 5);
}
