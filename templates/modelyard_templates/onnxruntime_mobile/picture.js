// A picture for a model whose columns are the pixels of a small square one: drawn with a finger, or seen by the camera.
import { make } from "./form.js";

/**
 * @typedef {object} Picture
 * @property {number} size pixels on a side
 * @property {string[]} names of the columns, row by row
 * @property {number} low what no ink is
 * @property {number} high what full ink is
 */

const LEAST = 4;
const MOST = 64;
const PAD = 280; // pixels of the pad itself on a side
const PEN = 26;
const FAINT = 0.4; // of the contrast that a photograph has: below it is paper

/**
 * The picture whose pixels the columns are, and nothing else; null where they are none.
 * Known are names that end in row and column (pixel_0_7), and those of pixels counted through (pixel0, px_12).
 * @param {import("./contract.js").Column[]} columns
 * @returns {Picture | null}
 */
export function pictureOf(columns) {
  const size = Math.sqrt(columns.length);
  const areNumbers = columns.every(({ type, minimum, maximum }) => ["number", "integer"].includes(type) && minimum !== undefined && maximum !== undefined);
  if (!Number.isInteger(size) || size < LEAST || size > MOST || !areNumbers) return null;
  /** @type {string[]} */
  const names = [];
  const first = columns.map(({ name }) => name.match(/^(.*?)(\d+)$/)).every((match) => match?.[2] !== "0") ? 1 : 0;
  for (const { name } of columns) {
    const pair = name.match(/^(?:.*\D)?(\d+)\D(\d+)$/);
    const counted = name.match(/^(?:pixel|px)\D?(\d+)$/i);
    const place = pair ? Number(pair[1]) * size + Number(pair[2]) : counted ? Number(counted[1]) - first : -1;
    if (place < 0 || place >= columns.length || names[place] !== undefined || (pair && Number(pair[2]) >= size)) return null;
    names[place] = name;
  }
  const low = Math.min(...columns.map(({ minimum }) => Number(minimum)));
  const high = Math.max(...columns.map(({ maximum }) => Number(maximum)));
  return high > low ? { size, names, low, high } : null;
}

/**
 * Ink cropped to what is drawn, fitted into the square, and averaged into its pixels.
 * @param {Float32Array} ink 0 to 1, of a square, row by row
 * @param {number} side of that square
 * @param {number} size of the small picture
 * @returns {number[]} 0 to 1, row by row
 */
export function fitted(ink, side, size) {
  let [left, top, right, bottom] = [side, side, -1, -1];
  ink.forEach((value, place) => {
    if (value < 0.3) return;
    const [x, y] = [place % side, Math.floor(place / side)];
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
  });
  if (right < 0) return new Array(size * size).fill(0);
  const span = Math.max(right - left, bottom - top) + 1;
  const [x0, y0] = [(left + right + 1 - span) / 2, (top + bottom + 1 - span) / 2];
  const cell = span / size;
  const taken = Math.max(2, Math.ceil(cell));
  return Array.from({ length: size * size }, (_, place) => {
    let sum = 0;
    for (let number = 0; number < taken * taken; number += 1) {
      const x = Math.floor(x0 + ((place % size) + ((number % taken) + 0.5) / taken) * cell);
      const y = Math.floor(y0 + (Math.floor(place / size) + (Math.floor(number / taken) + 0.5) / taken) * cell);
      if (x >= 0 && y >= 0 && x < side && y < side) sum += ink[y * side + x];
    }
    return sum / (taken * taken);
  });
}

/**
 * What of a photograph is ink: darker than the paper, or brighter than a dark ground.
 * @param {Uint8ClampedArray} pixels red, green, blue, opacity
 * @returns {Float32Array} 0 to 1
 */
export function inkOf(pixels) {
  const light = Float32Array.from({ length: pixels.length / 4 }, (_, place) =>
    (0.299 * pixels[4 * place] + 0.587 * pixels[4 * place + 1] + 0.114 * pixels[4 * place + 2]) / 255);
  const sorted = Float32Array.from(light).sort();
  const ground = sorted[sorted.length >> 1];
  const [darkest, brightest] = [sorted[Math.floor(sorted.length * 0.01)], sorted[Math.floor(sorted.length * 0.99)]];
  const isDarkInk = ground - darkest >= brightest - ground;
  const contrast = Math.max(isDarkInk ? ground - darkest : brightest - ground, 0.1);
  return light.map((value) => {
    const strength = (isDarkInk ? ground - value : value - ground) / contrast;
    return strength < FAINT ? 0 : Math.min(1, strength);
  });
}

/** Where people draw, and what the model sees of it. */
export class PicturePad {
  /**
   * @param {Picture} picture
   * @param {HTMLElement} place
   * @param {(row: Record<string, number>) => void} tell
   */
  constructor(picture, place, tell) {
    this.picture = picture;
    this.tell = tell;
    /** @type {MediaStream | null} */
    this.stream = null;
    this.pad = make("canvas", { className: "pad", width: PAD, height: PAD });
    this.pad.setAttribute("role", "img");
    this.pad.setAttribute("aria-label", "Drawing pad: draw with a finger or the mouse; the values below can be typed instead");
    this.seen = make("canvas", { className: "seen", width: picture.size, height: picture.size });
    this.seen.setAttribute("role", "img");
    this.seen.setAttribute("aria-label", `The ${picture.size} by ${picture.size} pixels that the model sees`);
    this.video = make("video", { className: "video", playsInline: true, muted: true, hidden: true });
    this.camera = make("button", { type: "button", textContent: "Camera" });
    this.clear = make("button", { type: "button", textContent: "Clear" });
    this.said = make("p", { className: "hint", hidden: true });
    this.said.setAttribute("role", "status");
    const [frame, side, buttons] = ["frame", "side", "buttons"].map((className) => make("div", { className }));
    this.hint = make("p", { className: "pad-hint", textContent: "draw here" });
    frame.append(this.pad, this.hint, this.video);
    buttons.append(this.camera, this.clear);
    side.append(make("p", { className: "hint", textContent: "What the model sees" }), this.seen, buttons);
    place.append(frame, side, this.said);
    this.wipe();
    this.listen();
  }

  get ink() {
    return /** @type {CanvasRenderingContext2D} */ (this.pad.getContext("2d", { willReadFrequently: true }));
  }

  listen() {
    let isDown = false;
    const at = (/** @type {PointerEvent} */ event) => {
      const { left, top, width } = this.pad.getBoundingClientRect();
      return /** @type {[number, number]} */ ([((event.clientX - left) * PAD) / width, ((event.clientY - top) * PAD) / width]);
    };
    this.pad.addEventListener("pointerdown", (event) => {
      isDown = true;
      this.hint.hidden = true;
      this.pad.setPointerCapture(event.pointerId);
      this.ink.beginPath();
      this.ink.moveTo(...at(event));
      this.ink.lineTo(...at(event));
      this.ink.stroke();
    });
    this.pad.addEventListener("pointermove", (event) => {
      if (!isDown) return;
      this.ink.lineTo(...at(event));
      this.ink.stroke();
    });
    for (const name of ["pointerup", "pointercancel"])
      this.pad.addEventListener(name, () => {
        if (isDown) this.read();
        isDown = false;
      });
    this.clear.addEventListener("click", () => {
      this.stop();
      this.wipe();
      this.read();
    });
    this.camera.addEventListener("click", () => (this.stream ? this.take() : void this.look()));
  }

  wipe() {
    const { ink } = this;
    this.hint.hidden = false;
    ink.fillStyle = "#000";
    ink.fillRect(0, 0, PAD, PAD);
    ink.strokeStyle = "#fff";
    ink.lineWidth = PEN;
    ink.lineCap = ink.lineJoin = "round";
  }

  /**
   * Show an example; what was drawn is gone.
   * @param {Record<string, unknown>} row
   */
  example(row) {
    this.wipe();
    this.show(row);
  }

  /** Tell the row that is drawn. */
  read() {
    const pixels = this.ink.getImageData(0, 0, PAD, PAD).data;
    this.told(fitted(Float32Array.from({ length: PAD * PAD }, (_, place) => pixels[4 * place] / 255), PAD, this.picture.size));
  }

  /** @param {number[]} shares */
  told(shares) {
    const { names, low, high } = this.picture;
    const row = Object.fromEntries(names.map((name, place) => [name, Math.round(low + shares[place] * (high - low))]));
    this.show(row);
    this.tell(row);
  }

  /**
   * Show the picture that a row is.
   * @param {Record<string, unknown>} row
   */
  show(row) {
    const { size, names, low, high } = this.picture;
    const context = /** @type {CanvasRenderingContext2D} */ (this.seen.getContext("2d"));
    const image = context.createImageData(size, size);
    names.forEach((name, place) => {
      const value = (255 * (Number(row[name]) - low)) / (high - low);
      image.data.set([value, value, value, 255], 4 * place);
    });
    context.putImageData(image, 0, 0);
  }

  /** Open the camera. */
  async look() {
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch (error) {
      this.say(`no camera: ${error instanceof Error ? error.message : error}`);
      return;
    }
    this.video.srcObject = this.stream;
    this.video.hidden = false;
    await this.video.play();
    this.camera.textContent = "Take photo";
    this.say("hold one digit or sign, dark on bright paper, into the square");
  }

  /** Take the picture that the camera sees. */
  take() {
    const { videoWidth: width, videoHeight: height } = this.video;
    const side = Math.min(width, height);
    this.wipe();
    this.hint.hidden = true;
    this.ink.drawImage(this.video, (width - side) / 2, (height - side) / 2, side, side, 0, 0, PAD, PAD);
    const pixels = this.ink.getImageData(0, 0, PAD, PAD);
    const ink = inkOf(pixels.data);
    ink.forEach((value, place) => pixels.data.set([255 * value, 255 * value, 255 * value, 255], 4 * place));
    this.ink.putImageData(pixels, 0, 0);
    this.stop();
    this.read();
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.video.hidden = true;
    this.video.srcObject = null;
    this.camera.textContent = "Camera";
    this.say("");
  }

  /** @param {string} text */
  say(text) {
    this.said.textContent = text;
    this.said.hidden = !text;
  }
}
