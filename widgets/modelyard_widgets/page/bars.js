import { make } from "./dom.js";

/** @import { Bar, Drawer } from "./types.js" */

/** @param {HTMLElement} node @param {Bar} bar */
function fillBar(node, { label, value, share, tone }) {
  const [name, track, number] = /** @type {HTMLElement[]} */ ([...node.children]);
  name.textContent = label;
  number.textContent = value;
  const fill = /** @type {HTMLElement} */ (track.firstElementChild);
  fill.style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
  if (tone) node.dataset.tone = tone;
  else delete node.dataset.tone;
}

function emptyBar() {
  const node = make("li", "bar");
  const track = make("span", "bar-track");
  track.setAttribute("aria-hidden", "true"); // the number says it
  track.append(make("span", "bar-fill"));
  node.append(make("span", "bar-label"), track, make("span", "bar-value"));
  return node;
}

/** Shares by their names, each with its number. @type {Drawer} */
export const bars = {
  draw: (block, context) => {
    const node = make("div", "bars");
    node.append(make("p", "bars-title"), make("ul", "bars-list"));
    bars.update?.(node, block, context);
    return node;
  },
  update: (node, block) => {
    const [title, list] = /** @type {HTMLElement[]} */ ([...node.children]);
    const shown = block.bars ?? [];
    title.textContent = block.title ?? "";
    list.setAttribute("aria-label", block.title ?? "Bars");
    while (list.children.length > shown.length) list.lastElementChild?.remove();
    while (list.children.length < shown.length) list.append(emptyBar());
    shown.forEach((bar, place) => fillBar(/** @type {HTMLElement} */ (list.children[place]), bar));
    return true;
  },
};
