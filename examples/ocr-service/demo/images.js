import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createCanvas, GlobalFonts } from '@napi-rs/canvas';

const require = createRequire(import.meta.url);

const WIDTH = 560;
const HEIGHT = 300;
const MARGIN = 40;
const FONT_SIZE = 22;
/** Of a small image, in width and in height: ocr-v1 reads it as well as any, ocr-v2 hardly ever. */
const SMALL = 0.7;
const FONT = 'Demo Sans';

// From npm, since no system font can be counted on.
const FONT_FILE = require.resolve('@fontsource-variable/inter/files/inter-latin-wght-normal.woff2');
GlobalFonts.register(readFileSync(FONT_FILE), FONT);

const GOODS = ['Desk lamp', 'Chair', 'Notebook', 'Paper', 'Keyboard', 'Bookshelf', 'Pencils'];
const SIGNS = ['Exit to the garden', 'Please close the door', 'Ring the bell twice', 'Platform 7 and 8'];

/**
 * An image as a scanner or a phone would send it.
 *
 * @param {import('./plan.js').Upload} upload
 * @returns {Buffer} a PNG; where it is corrupt, one whose beginning was lost on the way
 */
export function imageOf({ number, document, imageKind }) {
  const text = imageKind === 'empty' ? '' : textOf(document, number);
  const image = render(text, {
    blurPx: imageKind === 'blurred' ? 1.6 + (number % 3) * 0.4 : 0,
    turnedDegrees: imageKind === 'turned' ? (number % 2 === 0 ? 4 : -5) : 0,
    scale: imageKind === 'small' ? SMALL : 1,
  });
  return imageKind === 'corrupt' ? image.fill(0, 0, 64) : image;
}

/**
 * @param {string} text
 * @param {{ blurPx?: number, turnedDegrees?: number, scale?: number }} [options]
 * @returns {Buffer} a PNG
 */
export function render(text, { blurPx = 0, turnedDegrees = 0, scale = 1 } = {}) {
  const canvas = createCanvas(WIDTH * scale, HEIGHT * scale);
  const context = canvas.getContext('2d');
  context.scale(scale, scale);
  context.fillStyle = 'white';
  context.fillRect(0, 0, WIDTH, HEIGHT);
  context.translate(WIDTH / 2, HEIGHT / 2);
  context.rotate((turnedDegrees * Math.PI) / 180);
  context.translate(-WIDTH / 2, -HEIGHT / 2);
  if (blurPx > 0) context.filter = `blur(${blurPx}px)`;
  context.font = `${FONT_SIZE}px "${FONT}"`;
  context.fillStyle = '#222';
  text.split('\n').forEach((line, index) => {
    context.fillText(line, MARGIN, MARGIN + FONT_SIZE + index * FONT_SIZE * 1.6);
  });
  return canvas.toBuffer('image/png');
}

/**
 * @param {import('./plan.js').Document} document
 * @param {number} number
 */
function textOf(document, number) {
  const [one, other] = [GOODS[number % GOODS.length], GOODS[(number + 3) % GOODS.length]];
  const total = (37.5 + number * 1.25).toFixed(2);
  const texts = {
    invoice: `INVOICE ${2000 + number}\n${one} 3 x 12.50\n${other} 1 x 89.00\nTotal due ${total}\nPayable within 14 days`,
    receipt: `RECEIPT ${7000 + number}\n${one} 4.20\n${other} 11.80\nCash ${total}\nChange 4.00`,
    letter: `Dear reader,\nthe shelf you asked for is here.\nCome by until six to collect it.\nKind regards`,
    sign: SIGNS[number % SIGNS.length] ?? '',
  };
  return texts[document];
}
