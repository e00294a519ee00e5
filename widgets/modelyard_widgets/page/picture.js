import { make } from "./dom.js";

/** @import { Drawer } from "./types.js" */

/** The colour of text, asked of the body: the panel itself may not be in the page yet. */
function textColor() {
  const page = getComputedStyle(document.body);
  const variables = ["--jp-content-font-color1", "--vscode-foreground"];
  return variables.map((name) => page.getPropertyValue(name).trim()).find(Boolean) ?? page.color;
}

/** An image does not inherit the page's colour: it is told. @param {string} svg */
function tinted(svg) {
  const picture = new DOMParser().parseFromString(svg, "image/svg+xml");
  picture.documentElement.setAttribute("color", textColor());
  return `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(picture))}`;
}

/** Each image in the page, and what it was drawn from. @type {WeakMap<HTMLImageElement, string>} */
const drawnFrom = new WeakMap();

/** @param {HTMLImageElement} image @param {string} svg */
function fill(image, svg) {
  drawnFrom.set(image, svg);
  image.src = tinted(svg);
}

/** Draw the images below `root` anew in the colour of the page. @param {Element} root */
export function retint(root) {
  for (const image of root.querySelectorAll("img")) {
    const svg = drawnFrom.get(image);
    if (svg) image.src = tinted(svg);
  }
}

/** @type {Drawer} */
export const picture = {
  draw: (block, context) => {
    const node = make("figure", "picture");
    node.append(make("figcaption", "picture-title"), make("img", "picture-image"));
    picture.update?.(node, block, context);
    return node;
  },
  update: (node, { svg = "", alt = "", title = "" }) => {
    const [caption, image] = node.children;
    caption.textContent = title;
    /** @type {HTMLElement} */ (caption).hidden = !title;
    /** @type {HTMLImageElement} */ (image).alt = alt;
    fill(/** @type {HTMLImageElement} */ (image), svg);
    return true;
  },
};
