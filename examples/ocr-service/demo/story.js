/** What each act is announced with, and what is said when it has come. */
const ACTS = {
  before: { ahead: '', now: '' },
  newVersion: {
    ahead: `ocr-v2 takes half of the images, and it is worse: a second line parts from the first in latency,
         confidence and errors, and the verdict on top soon names it.`,
    now: 'ocr-v2 takes half of the images now.',
  },
  smallReceipts: {
    ahead: `The app for expenses begins to send receipts at 70 % of their size: ocr-v1 reads them as before,
         ocr-v2 none. An alert, and what it comes from.`,
    now: 'The app for expenses sends small receipts now: ocr-v2 cannot read them.',
  },
  takenBack: {
    ahead: 'Both are taken back. The verdict and the alert need five calm minutes.',
    now: 'ocr-v2 and the small receipts are taken back.',
  },
};

/**
 * Tells what happens, in few lines: what to look at on the page, and when.
 */
export class Story {
  /** @type {{ nowcastUrl: string, serviceUrl: string, ours: boolean }} */
  #where;
  /** @type {Map<string, import('./traffic.js').Answer[]>} by version, since the new one runs */
  #answers = new Map();
  /** @type {Set<import('./plan.js').Act>} */
  #reached = new Set();

  /** @param {{ nowcastUrl: string, serviceUrl: string, ours: boolean }} where */
  constructor(where) {
    this.#where = where;
  }

  /**
   * @param {{ act: import('./plan.js').Act, afterSeconds: number }[]} plan
   * @param {import('./ending.js').Ending} ending
   */
  begin(plan, { earliestSeconds, latestSeconds }) {
    const { nowcastUrl, serviceUrl, ours } = this.#where;
    const at = (/** @type {number} */ seconds) => clockTime(new Date(Date.now() + seconds * 1_000));
    console.log(`
Open ${nowcastUrl}${ours ? '' : ' (the Nowcast that was running already)'}

  now    ocr-v1 reads images: invoices, receipts, letters, signs. Some are blurred or turned: less confidence.
         One in 48 is damaged: an error.
${plan.map(({ act, afterSeconds }) => `  ${at(afterSeconds)}  ${ACTS[act].ahead}\n`).join('')}  ${at(earliestSeconds)}  The end${latestSeconds > earliestSeconds ? ', once the alert is over' : ''}; Ctrl-C ends it sooner.${ours ? ' The events stay: npm start shows them again.' : ''}

Send an image of your own: curl --data-binary @image.png ${serviceUrl}/ocr
`);
  }

  /** @param {import('./plan.js').Act} act */
  reached(act) {
    if (this.#reached.has(act)) return;
    this.#reached.add(act);
    if (act === 'newVersion') this.#answers.clear();
    this.tell(ACTS[act].now);
  }

  /** @param {string} line */
  tell(line) {
    console.log(`  ${clockTime(new Date())}  ${line}`);
  }

  /** @param {import('./traffic.js').Answer} answer */
  answered(answer) {
    const answers = this.#answers.get(answer.version) ?? [];
    this.#answers.set(answer.version, answers);
    answers.push(answer);
  }

  end() {
    const figures = [...this.#answers]
      .sort()
      .map(
        ([version, answers]) =>
          `${version}: ${answers.length} images, ${answers.filter(({ error }) => error).length} errors, ` +
          `median ${median(answers.map((answer) => answer.inferenceTimeMs)).toFixed(0)} ms, ` +
          `median confidence ${median(answers.map((answer) => answer.confidence)).toFixed(2)}`,
      );
    this.tell(['The end.', ...figures].join('\n         '));
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
