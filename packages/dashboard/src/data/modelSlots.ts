/** How many models a chart shows at once: as many as there are colours that stay apart for every eye. */
export const shownModels = 6;

/**
 * Which model has which colour. A model keeps its slot as long as it is shown: a colour that wandered to another
 * model while somebody looks would be a lie.
 */
export class ModelSlots {
  readonly #slots = new Map<string, number>();

  /** @returns the slot, from 0, of each of the models; they are at most `shownModels` */
  assign(models: readonly string[]): ReadonlyMap<string, number> {
    for (const model of this.#slots.keys()) if (!models.includes(model)) this.#slots.delete(model);
    const taken = new Set(this.#slots.values());
    // By name, so that two people who open the page see the same colours.
    for (const model of models.filter((model) => !this.#slots.has(model)).sort()) {
      let slot = 0;
      while (taken.has(slot)) slot++;
      taken.add(slot);
      this.#slots.set(model, slot);
    }
    return new Map(this.#slots);
  }
}
