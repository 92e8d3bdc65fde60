/** What happens next: numbered things by their time, those of one time in the order in which they were added. */
export class EventQueue {
  #times = new Float64Array(1024);
  #orders = new Float64Array(1024);
  #things = new Int32Array(1024);
  #size = 0;
  #added = 0;

  get size(): number {
    return this.#size;
  }

  add(time: number, thing: number): void {
    if (this.#size === this.#times.length) this.#grow();
    let at = this.#size++;
    const order = this.#added++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#times[parent]! <= time) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, time, order, thing);
  }

  /** Takes the earliest; `time` of what was taken is in {@link EventQueue.now}. */
  take(): number {
    const [first, last] = [this.#things[0]!, --this.#size];
    this.now = this.#times[0]!;
    const [time, order] = [this.#times[last]!, this.#orders[last]!];
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && this.#before(child + 1, this.#times[child]!, this.#orders[child]!)) child++;
      if (!this.#before(child, time, order)) break;
      this.#move(child, at);
      at = child;
    }
    this.#put(at, time, order, this.#things[last]!);
    return first;
  }

  /** Time of what was taken last. */
  now = 0;

  #before(at: number, time: number, order: number): boolean {
    return this.#times[at]! < time || (this.#times[at] === time && this.#orders[at]! < order);
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#times[from]!, this.#orders[from]!, this.#things[from]!);
  }

  #put(at: number, time: number, order: number, thing: number): void {
    this.#times[at] = time;
    this.#orders[at] = order;
    this.#things[at] = thing;
  }

  #grow(): void {
    const wider = <A extends Float64Array | Int32Array>(old: A, to: A): A => (to.set(old), to);
    this.#times = wider(this.#times, new Float64Array(2 * this.#size));
    this.#orders = wider(this.#orders, new Float64Array(2 * this.#size));
    this.#things = wider(this.#things, new Int32Array(2 * this.#size));
  }
}
