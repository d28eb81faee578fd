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

/** Lines of one kind, oldest first. */
interface Kind {
  readonly pages: Page[];
  /** The newest lines, which are not in a page yet, and how many they are. */
  text: string;
  events: number;
}

export const lineEnd = ',\n';
export const lineFeed = 10;
const maxPageBytes = 32 * 1024;
/** Enough that a small bound still has several pages, of which the oldest can go. */
const pagesInBound = 16;
/** So much of a page is encoded at once, some 2 KB: line by line it costs as much as making the lines. */
const partsOfPage = 16;
/** Kept for the next lines, so that steady traffic allocates nothing. */
const maxSparePages = 2;
const maxUtf8BytesPerChar = 3;

export const encoder = new TextEncoder();

/** Lines of text of two kinds in pages outside the heap, which are filled again once they are empty. */
export class LinePages {
  readonly #pageBytes: number;
  readonly #successes: Kind = { pages: [], text: '', events: 0 };
  readonly #errors: Kind = { pages: [], text: '', events: 0 };
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];
  size = 0;
  /** Of the lines. */
  bytes = 0;
  /** Of what they are in. */
  heldBytes = 0;

  /** @param maxBytes to which the caller bounds the pages by `evict` */
  constructor(maxBytes: number) {
    this.#pageBytes = Math.min(maxPageBytes, Math.floor(maxBytes / pagesInBound));
  }

  add(line: string, isError: boolean): void {
    const kind = isError ? this.#errors : this.#successes;
    const text = line + lineEnd;
    kind.text += text;
    kind.events++;
    this.size++;
    this.bytes += text.length;
    this.heldBytes += text.length;
    if (kind.text.length * partsOfPage > this.#pageBytes) this.#encode(kind);
  }

  /** Lets the oldest page of its kind go. @returns how many lines were in it, 0 without one */
  evict(isError: boolean): number {
    const kind = isError ? this.#errors : this.#successes;
    if (kind.pages.length === 0) this.#encode(kind);
    const page = kind.pages.shift();
    if (page === undefined) return 0;
    this.size -= page.events;
    this.bytes -= page.end - page.start;
    return this.#release(page);
  }

  /** Up to so many lines and about so many bytes, at least one of what there is; errors first. */
  take(maxEvents: number, maxBytes: number): Lines {
    const lines: Uint8Array[] = [];
    let bytes = 0;
    this.#encode(this.#errors);
    this.#encode(this.#successes);
    for (const { pages } of [this.#errors, this.#successes]) {
      for (let page = pages[0]; page !== undefined; page = pages[0]) {
        if (lines.length >= maxEvents || bytes >= maxBytes) break;
        const next = page.bytes.indexOf(lineFeed, page.start) + 1;
        lines.push(page.bytes.subarray(page.start, next));
        bytes += next - page.start;
        page.start = next;
        // Nothing is written to it before its lines are copied below.
        if (--page.events === 0) this.#release(pages.shift()!);
      }
    }
    this.size -= lines.length;
    this.bytes -= bytes;
    return { events: lines.length, bytes: concat(lines) };
  }

  #encode(kind: Kind): void {
    const { pages, text, events } = kind;
    if (events === 0) return;
    kind.text = '';
    kind.events = 0;
    this.bytes -= text.length;
    this.heldBytes -= text.length;
    let page = pages.at(-1);
    let encoded = page && encoder.encodeInto(text, page.bytes.subarray(page.end));
    if (page === undefined || encoded?.read !== text.length) {
      const bytes = Math.max(this.#pageBytes, text.length * maxUtf8BytesPerChar);
      const spare = bytes === this.#pageBytes ? this.#spare.pop() : undefined;
      page = { bytes: spare ?? new Uint8Array(bytes), start: 0, end: 0, events: 0 };
      pages.push(page);
      this.heldBytes += bytes;
      encoded = encoder.encodeInto(text, page.bytes);
    }
    page.end += encoded.written;
    page.events += events;
    this.bytes += encoded.written;
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
