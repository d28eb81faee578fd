/** Lines one after the other, each with `lineEnd` behind it. */
export interface Lines {
  readonly events: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface Page {
  readonly bytes: Uint8Array<ArrayBuffer>;
  start: number;
  end: number;
  events: number;
}

export const lineEnd = ',\n';
export const lineFeed = 10;
const maxPageBytes = 32 * 1024;
/** Enough that a small bound still has several pages, of which the oldest can go. */
const pagesInBound = 16;
/** Kept for the next lines, so that steady traffic allocates nothing. */
const maxSparePages = 2;
const maxUtf8BytesPerChar = 3;

export const encoder = new TextEncoder();

/** Lines of text of two kinds in pages outside the heap, which are filled again once they are empty. */
export class LinePages {
  readonly #pageBytes: number;
  readonly #successes: Page[] = [];
  readonly #errors: Page[] = [];
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];
  size = 0;
  /** Of the lines. */
  bytes = 0;
  /** Of the pages that they are in. */
  heldBytes = 0;

  /** @param maxBytes to which the caller bounds the pages by `evict` */
  constructor(maxBytes: number) {
    this.#pageBytes = Math.min(maxPageBytes, Math.floor(maxBytes / pagesInBound));
  }

  add(line: string, isError: boolean): void {
    const text = line + lineEnd;
    const pages = isError ? this.#errors : this.#successes;
    if (this.#write(text, pages.at(-1))) return;
    const bytes = Math.max(this.#pageBytes, text.length * maxUtf8BytesPerChar);
    const spare = bytes === this.#pageBytes ? this.#spare.pop() : undefined;
    const page = { bytes: spare ?? new Uint8Array(bytes), start: 0, end: 0, events: 0 };
    this.heldBytes += bytes;
    pages.push(page);
    this.#write(text, page);
  }

  /** Lets the oldest page of its kind go. @returns how many lines were in it, 0 without one */
  evict(isError: boolean): number {
    const page = (isError ? this.#errors : this.#successes).shift();
    if (page === undefined) return 0;
    this.size -= page.events;
    this.bytes -= page.end - page.start;
    return this.#release(page);
  }

  /** Up to so many lines and about so many bytes, at least one of what there is; errors first. */
  take(maxEvents: number, maxBytes: number): Lines {
    const lines: Uint8Array[] = [];
    let bytes = 0;
    while (lines.length < maxEvents && bytes < maxBytes) {
      const pages = this.#errors.length > 0 ? this.#errors : this.#successes;
      const page = pages[0];
      if (page === undefined) break;
      const next = page.bytes.indexOf(lineFeed, page.start) + 1;
      lines.push(page.bytes.subarray(page.start, next));
      bytes += next - page.start;
      page.start = next;
      // Nothing is written to it before its lines are copied below.
      if (--page.events === 0) this.#release(pages.shift()!);
    }
    this.size -= lines.length;
    this.bytes -= bytes;
    return { events: lines.length, bytes: concat(lines) };
  }

  #write(text: string, page: Page | undefined): boolean {
    if (page === undefined) return false;
    const { read, written } = encoder.encodeInto(text, page.bytes.subarray(page.end));
    if (read < text.length) return false;
    page.end += written;
    page.events++;
    this.size++;
    this.bytes += written;
    return true;
  }

  /** @returns how many lines were left in it */
  #release({ bytes, events }: Page): number {
    this.heldBytes -= bytes.length;
    if (bytes.length === this.#pageBytes && this.#spare.length < maxSparePages) this.#spare.push(bytes);
    return events;
  }
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((bytes, part) => bytes + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
