import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

/** The colours of style.css, light and dark. */
const tokens = new Map(
  [
    ...readFileSync(new URL('../src/style.css', import.meta.url), 'utf8').matchAll(
      /--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g,
    ),
  ].map(([, name, light, dark]) => [name!, { light: light!, dark: dark! }]),
);
const themes = ['light', 'dark'] as const;
type Theme = (typeof themes)[number];
type Triple = readonly [number, number, number];

/** Machado, Oliveira and Fernandes 2009, severity 1, for linear RGB. */
const sight: Record<string, readonly Triple[]> = {
  'full colour': [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};
/** In OKLab; 0.02 is a just noticeable difference of neighbouring patches, lines of 2 px need several. */
const apart = 0.09;

test.each(themes)('the six series colours stay apart for every kind of colour sight (%s)', (theme) => {
  const series = [1, 2, 3, 4, 5, 6].map((n) => linear(colour(`series-${n}`, theme)));
  for (const [name, matrix] of Object.entries(sight)) {
    const seen = series.map((rgb) => okLab(matrix.map((row) => clamp(dot(row, rgb))) as unknown as Triple));
    for (let a = 0; a < seen.length; a++) {
      for (let b = 0; b < a; b++) {
        const distance = Math.hypot(...seen[a]!.map((value, i) => value - seen[b]![i]!));
        expect(distance, `${name}: series ${b + 1} and ${a + 1}`).toBeGreaterThan(apart);
      }
    }
  }
});

test.each(themes)('texts and lines have the contrast that WCAG asks for (%s)', (theme) => {
  for (const ground of ['canvas', 'surface', 'raised']) {
    for (const text of ['text', 'muted', 'accent', 'good', 'warning', 'bad']) {
      expect(contrast(colour(text, theme), colour(ground, theme)), `${text} on ${ground}`).toBeGreaterThan(
        4.5,
      );
    }
  }
  for (const soft of ['good', 'warning', 'bad', 'unknown']) {
    expect(contrast(colour(soft, theme), colour(`${soft}-soft`, theme)), soft).toBeGreaterThan(4.5);
  }
  for (const n of [1, 2, 3, 4, 5, 6]) {
    expect(contrast(colour(`series-${n}`, theme), colour('surface', theme)), `series ${n}`).toBeGreaterThan(
      3,
    );
  }
});

function colour(name: string, theme: Theme): string {
  const token = tokens.get(name);
  if (token === undefined) throw new Error(`style.css has no token ${name}`);
  return token[theme];
}

function linear(hex: string): Triple {
  const channel = (at: number) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return [channel(1), channel(3), channel(5)];
}

/** Björn Ottosson, "A perceptual color space for image processing". */
function okLab(rgb: Triple): Triple {
  const l = Math.cbrt(dot([0.4122214708, 0.5363325363, 0.0514459929], rgb));
  const m = Math.cbrt(dot([0.2119034982, 0.6806995451, 0.1073969566], rgb));
  const s = Math.cbrt(dot([0.0883024619, 0.2817188376, 0.6299787005], rgb));
  return [
    dot([0.2104542553, 0.793617785, -0.0040720468], [l, m, s]),
    dot([1.9779984951, -2.428592205, 0.4505937099], [l, m, s]),
    dot([0.0259040371, 0.7827717662, -0.808675766], [l, m, s]),
  ];
}

function contrast(a: string, b: string): number {
  const [x, y] = [a, b].map((hex) => dot([0.2126, 0.7152, 0.0722], linear(hex)) + 0.05) as [number, number];
  return Math.max(x, y) / Math.min(x, y);
}

function dot(a: Triple, b: Triple): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}
