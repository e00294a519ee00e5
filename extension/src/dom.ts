/** Return an element with a class and children; strings become text, never markup. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  part: string,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  if (part) {
    node.className = `modelyard-${part}`;
  }
  node.append(...children);
  return node;
}

/** Put `children` into `parent`; whatever had the focus there has it again, known by its `data-key`. */
export function replaceKeepingFocus(
  parent: HTMLElement,
  children: Node[]
): void {
  const active = document.activeElement;
  const key =
    active instanceof HTMLElement && parent.contains(active)
      ? active.dataset.key
      : undefined;
  const top = parent.scrollTop;
  parent.replaceChildren(...children);
  parent.scrollTop = top;
  if (key !== undefined) {
    const again = [...parent.querySelectorAll<HTMLElement>('[data-key]')].find(
      node => node.dataset.key === key
    );
    again?.focus({ preventScroll: true });
  }
}

/** Return the one line that an error is. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
