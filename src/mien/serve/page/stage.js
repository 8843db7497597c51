// The canvas: a picture or the camera, with a frame around each face.

import { expression, percent } from "./words.js";

const SMALLEST_SHOWN = 320; // a cut-out face of 48 px is enlarged to this
const TALLEST = 0.74; // of the window
const FOLLOW = 0.35; // of the way to its new place that a frame moves in each drawn frame
const still = matchMedia("(prefers-reduced-motion: reduce)");

export class Stage {
  constructor(canvas, place) {
    this.canvas = canvas;
    this.place = place;
    this.faces = [];
    this.chosen = null; // the number of a face
    new ResizeObserver(() => this.draw()).observe(place);
    document.fonts.ready.then(() => this.draw());
  }

  /** Show a bitmap, or a playing video for as long as it is shown. */
  show(source, { mirrored = false } = {}) {
    this.clear();
    this.source = source;
    this.mirrored = mirrored;
    this.canvas.hidden = false;
    if (source instanceof HTMLVideoElement) this.play(source);
    else this.draw();
  }

  clear() {
    this.source = null;
    this.faces = [];
    this.chosen = null;
    this.canvas.hidden = true;
  }

  play(video) {
    if (this.source !== video) return;
    this.draw();
    requestAnimationFrame(() => this.play(video));
  }

  /** Faces of an answer; their boxes are kept as parts of the picture, so that any size of it can be drawn. */
  mark({ faces, width, height, is_crop: isCrop }) {
    const before = this.faces;
    this.isCrop = isCrop;
    this.faces = faces.map((face) => {
      const { left, top, right, bottom } = face.box;
      const x = this.mirrored ? 1 - right / width : left / width;
      const box = [x, top / height, (right - left) / width, (bottom - top) / height];
      return { face, box, shown: before.find((one) => one.face.number === face.number)?.shown ?? box };
    });
    if (!this.marked(this.chosen)) this.chosen = null; // who left
    this.draw();
  }

  choose(number) {
    this.chosen = number;
    this.draw();
  }

  marked(number) {
    return this.faces.find(({ face }) => face.number === number);
  }

  /** The number of the face under a point of the window; undefined for none. */
  at(clientX, clientY) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const [x, y] = [(clientX - left) / width, (clientY - top) / height];
    const inside = ({ box }) => x >= box[0] && x <= box[0] + box[2] && y >= box[1] && y <= box[1] + box[3];
    return this.faces.find(inside)?.face.number;
  }

  /** Draw one face, cut out a little wider than its box, into a small canvas. */
  cutOut(number, into) {
    const { box } = this.marked(number);
    const [width, height] = sizeOf(this.source);
    const side = 1.15 * Math.max(box[2] * width, box[3] * height);
    const left = (this.mirrored ? 1 - box[0] - box[2] / 2 : box[0] + box[2] / 2) * width - side / 2;
    const top = (box[1] + box[3] / 2) * height - side / 2;
    const context = into.getContext("2d");
    context.setTransform(this.mirrored ? -1 : 1, 0, 0, 1, this.mirrored ? into.width : 0, 0);
    context.clearRect(0, 0, into.width, into.height);
    context.drawImage(this.source, left, top, side, side, 0, 0, into.width, into.height);
  }

  draw() {
    if (!this.source) return;
    const [width, height] = sizeOf(this.source);
    if (!width) return;
    const room = [this.place.clientWidth / width, (TALLEST * innerHeight) / height];
    const scale = Math.min(...room, Math.max(2, SMALLEST_SHOWN / Math.max(width, height)));
    const [shownWidth, shownHeight] = [Math.round(width * scale), Math.round(height * scale)];
    this.resize(shownWidth, shownHeight);
    const context = this.canvas.getContext("2d");
    const dense = devicePixelRatio;
    const flip = this.mirrored ? -1 : 1;
    context.setTransform(flip * dense, 0, 0, dense, this.mirrored ? this.canvas.width : 0, 0);
    context.drawImage(this.source, 0, 0, shownWidth, shownHeight);
    context.setTransform(dense, 0, 0, dense, 0, 0);
    for (const marked of this.faces) this.frame(context, marked, [shownWidth, shownHeight]);
  }

  resize(width, height) {
    const [w, h] = [Math.round(width * devicePixelRatio), Math.round(height * devicePixelRatio)];
    if (this.canvas.width === w && this.canvas.height === h) return;
    [this.canvas.width, this.canvas.height] = [w, h];
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
  }

  frame(context, marked, [width, height]) {
    const follow = still.matches || !(this.source instanceof HTMLVideoElement) ? 1 : FOLLOW;
    marked.shown = marked.shown.map((value, i) => value + follow * (marked.box[i] - value));
    const [x, y, w, h] = marked.shown.map((value, i) => value * (i % 2 ? height : width));
    const chosen = marked.face.number === this.chosen;
    const colour = chosen ? "#ffd479" : "#7fe3d4";
    if (!this.isCrop) {
      context.beginPath();
      context.roundRect(x, y, w, h, Math.min(14, w / 6));
      strokes(context, [["rgb(10 20 20 / 55%)", chosen ? 7 : 5], [colour, chosen ? 3.5 : 2.5]]);
    }
    const room = this.faces.length > 1 ? 1.3 * w : Infinity;
    const place = { x: Math.max(x, 4), y: this.isCrop ? 34 : y, room };
    this.label(context, namesOf(marked.face), { ...place, colour, width });
  }

  /** The first of `names` that has room beside the neighbours', else the last one. */
  label(context, names, { x, y, room, colour, width }) {
    context.font = `600 14px ${getComputedStyle(document.documentElement).fontFamily}`;
    const text = names.find((name) => context.measureText(name).width + 18 <= room) ?? names.at(-1);
    const wide = context.measureText(text).width + 18;
    const left = Math.max(4, Math.min(x, width - wide - 4));
    const top = Math.max(4, y - 30);
    context.beginPath();
    context.roundRect(left, top, wide, 24, 12);
    context.fillStyle = colour;
    context.fill();
    context.fillStyle = "#0d2421";
    context.textBaseline = "middle";
    context.fillText(text, left + 9, top + 12.5);
  }
}

function sizeOf(source) {
  return source instanceof HTMLVideoElement ? [source.videoWidth, source.videoHeight] : [source.width, source.height];
}

/** What can be written at a face, from long to short. */
function namesOf(face) {
  const name = expression(face.label);
  const [long, short] = face.unsure ? [`${name}?`, "?"] : [`${name} ${percent(face.probability)}`, name];
  return [long, short, String(face.number)];
}

function strokes(context, styles) {
  for (const [colour, width] of styles) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke();
  }
}
