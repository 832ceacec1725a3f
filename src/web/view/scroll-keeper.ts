/** Px from the end that still count as the end. */
const END_MARGIN = 40;
/** Px of older messages shown above the first new one. */
const ABOVE_NEW = 96;

/**
 * Holds a scrolled element where its reader is: at the end, or at the row at the top of the view, whatever is added, taken away or
 * measured anew above and below. (Browsers anchor the scroll too, but not all, and not at the very start: style turns it off.)
 */
export class ScrollKeeper {
  /** Whether the reader is at the end, and stays there when it moves. */
  atEnd = true;
  #anchor: { element: Element; offset: number } | undefined;

  constructor(
    private readonly scroller: Element,
    private readonly content: Element,
  ) {}

  /** Px above the view. */
  get above(): number {
    return this.scroller.scrollTop;
  }

  /** Px below the view. */
  get below(): number {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight;
  }

  stickToEnd(): void {
    this.atEnd = true;
    this.#anchor = undefined;
  }

  bringToTop(element: Element): void {
    this.scroller.scrollTop += this.#offset(element) - ABOVE_NEW;
    this.scrolled();
  }

  /** The reader scrolled, or `restore` did. */
  scrolled(): void {
    this.atEnd = this.below <= END_MARGIN;
    this.#anchor = this.atEnd ? undefined : this.#find();
  }

  /** Before a change: the reader may have scrolled since the last event. */
  note(): void {
    if (!this.atEnd) this.#anchor = this.#find();
  }

  /** After a change. */
  restore(): void {
    if (this.atEnd) {
      this.scroller.scrollTop = this.scroller.scrollHeight;
      return;
    }
    if (!this.#anchor?.element.isConnected) return;
    const moved = this.#offset(this.#anchor.element) - this.#anchor.offset;
    if (moved !== 0) this.scroller.scrollTop += moved;
  }

  #offset(element: Element): number {
    return (
      element.getBoundingClientRect().top -
      this.scroller.getBoundingClientRect().top
    );
  }

  /** The first row, or chunk that is not drawn, that reaches into the view. */
  #find(): { element: Element; offset: number } | undefined {
    const { top } = this.scroller.getBoundingClientRect();
    const reaches = (element: Element): boolean =>
      element.getBoundingClientRect().bottom > top;
    for (const block of this.content.children) {
      if (!reaches(block)) continue;
      if (!block.matches(".chunk, .message")) continue;
      const rows = block.matches(".chunk") ? [...block.children] : [];
      const element = rows.find(reaches) ?? block;
      return {
        element,
        offset: element.getBoundingClientRect().top - top,
      };
    }
    return undefined;
  }
}
