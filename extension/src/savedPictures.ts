const DATA = 'data:image/svg+xml;base64,';

/** Each image that was drawn anew, and what it was when it was kept. */
const kept = new WeakMap<HTMLImageElement, string>();

/** Draw our pictures below `root` in the colour of the page's text, which an image does not inherit. */
export function tint(root: Element): void {
  const color = getComputedStyle(document.body)
    .getPropertyValue('--jp-content-font-color1')
    .trim();
  for (const image of root.querySelectorAll('img')) {
    const source = kept.get(image) ?? image.src;
    const drawing = source.startsWith(DATA) ? parsed(source) : null;
    if (color && drawing?.documentElement.hasAttribute('color')) {
      kept.set(image, source);
      drawing.documentElement.setAttribute('color', color);
      const text = new XMLSerializer().serializeToString(drawing);
      image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    }
  }
}

/** Put each picture below `root` together with the words above it, so that they can stand side by side. */
export function gather(root: Element): void {
  for (const words of root.querySelectorAll('p')) {
    const image = words.nextElementSibling;
    if (image instanceof HTMLImageElement) {
      const figure = document.createElement('figure');
      words.before(figure);
      figure.append(words, image);
    }
  }
}

/** Return the drawing in a data address; null where it cannot be read. */
function parsed(source: string): Document | null {
  try {
    const bytes = Uint8Array.from(
      atob(source.slice(DATA.length)),
      each => each.charCodeAt(0)
    );
    const text = new TextDecoder().decode(bytes);
    return new DOMParser().parseFromString(text, 'image/svg+xml');
  } catch {
    return null; // a stranger's: it stays as it is
  }
}
