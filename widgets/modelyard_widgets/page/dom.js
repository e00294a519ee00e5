/**
 * An element of a panel; what it says is text, never markup.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} part  what it is in the panel: its class is made of it
 * @param {string} [text]
 */
export function make(tag, part, text = "") {
  const node = document.createElement(tag);
  node.className = `modelyard-${part}`;
  node.textContent = text;
  return node;
}

/**
 * Let `parent` hold just these nodes in this order; a node that is in its place is not touched, so that it keeps the focus.
 *
 * @param {Element} parent
 * @param {readonly Element[]} nodes
 */
export function hold(parent, nodes) {
  nodes.forEach((node, place) => {
    const there = parent.children[place] ?? null;
    if (there !== node) parent.insertBefore(node, there);
  });
  while (parent.children.length > nodes.length) parent.lastElementChild?.remove();
}

/** Let a field have the keys that JupyterLab would walk its cells with. @param {HTMLElement} field */
export function keepKeys(field) {
  field.dataset.lmSuppressShortcuts = "true";
}

let made = 0;

/** A name for an element that no other element of the page has. */
export function uniqueId() {
  made += 1;
  return `modelyard-${made}-${Math.random().toString(36).slice(2, 8)}`;
}
