// One line for each long step of a start: a spinner with the elapsed time on a terminal, two plain lines elsewhere.

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 100;

/**
 * Shows that `work` goes on, and how long it took.
 *
 * @template T
 * @param {string} title what is being done, such as "Building the server"
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(title, work) {
  const started = performance.now();
  const elapsed = () => `${((performance.now() - started) / 1000).toFixed(1)} s`;
  const { stdout } = process;
  let timer;
  if (stdout.isTTY) {
    let frame = 0;
    const draw = () => stdout.write(`\r\x1b[K${FRAMES[frame++ % FRAMES.length]} ${title}  ${elapsed()}`);
    draw();
    timer = setInterval(draw, FRAME_MS);
  } else {
    stdout.write(`${title} ...\n`);
  }
  const end = (mark) => {
    clearInterval(timer);
    stdout.write(`${stdout.isTTY ? '\r\x1b[K' : ''}${mark} ${title}  ${elapsed()}\n`);
  };
  try {
    const result = await work();
    end('✓');
    return result;
  } catch (error) {
    end('✗');
    throw error;
  }
}
