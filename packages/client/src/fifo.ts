/** First in, first out at the same cost however many wait: `shift()` of a long array moves all that follows. */
export class Fifo<Item> {
  #coming: Item[] = [];
  /** Newest first. */
  #going: Item[] = [];

  push(item: Item): void {
    this.#coming.push(item);
  }

  shift(): Item | undefined {
    if (this.#going.length === 0) {
      this.#going = this.#coming.reverse();
      this.#coming = [];
    }
    return this.#going.pop();
  }
}
