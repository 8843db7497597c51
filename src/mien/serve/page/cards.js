// One card a face: its picture, its label, a bar for every label.

import { expression, percent, say } from "./words.js";

const THUMB = 96;
const LIKELIEST = 3; // rows that a phone shows of each of many faces, until one is chosen

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

export class Cards {
  constructor(list, { onChoose }) {
    this.list = list;
    this.onChoose = onChoose;
    this.cards = [];
    list.addEventListener("keydown", (event) => this.move(event));
  }

  /** Cards for these faces; `cutOut(index, canvas)` draws a face's own picture. */
  show(faces, cutOut) {
    const fits = this.cards.length === faces.length && faces.every((face, i) => this.cards[i].fits(face));
    if (!fits) this.rebuild(faces);
    faces.forEach((face, index) => {
      this.cards[index].update(face, index + 1);
      cutOut(index, this.cards[index].thumb);
    });
  }

  choose(index, { focus = false } = {}) {
    this.cards.forEach((card, i) => card.box.classList.toggle("chosen", i === index));
    if (focus && index >= 0) this.cards[index].box.focus();
  }

  rebuild(faces) {
    const focused = this.cards.findIndex(({ box }) => box === document.activeElement);
    this.cards = faces.map((face) => new Card(Object.keys(face.probabilities)));
    this.list.replaceChildren(...this.cards.map(({ box }) => element("li", "", box)));
    this.cards.forEach(({ box }, index) => {
      for (const event of ["focus", "mouseenter"]) box.addEventListener(event, () => this.onChoose(index));
      for (const event of ["blur", "mouseleave"]) box.addEventListener(event, () => this.onChoose(-1));
    });
    if (focused >= 0 && this.cards.length) this.cards[Math.min(focused, this.cards.length - 1)].box.focus();
  }

  move(event) {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const here = this.cards.findIndex(({ box }) => box === document.activeElement);
    if (!step || here < 0) return;
    event.preventDefault();
    this.cards[(here + step + this.cards.length) % this.cards.length].box.focus();
  }
}

class Card {
  constructor(labels) {
    this.thumb = element("canvas");
    this.thumb.width = this.thumb.height = THUMB;
    this.thumb.setAttribute("aria-hidden", "true");
    this.title = element("h3");
    this.detail = element("p", "fine");
    this.number = element("span", "number");
    this.rows = new Map(labels.map((label) => [label, new Row()]));
    const bars = element("dl", "bars", ...[...this.rows.values()].flatMap((row) => row.parts));
    this.box = element(
      "div", "face", element("header", "", this.thumb, element("div", "", this.title, this.detail), this.number), bars,
    );
    this.box.tabIndex = 0;
    this.box.setAttribute("role", "group");
  }

  fits(face) {
    const labels = Object.keys(face.probabilities);
    return labels.length === this.rows.size && labels.every((label) => this.rows.has(label));
  }

  update(face, number) {
    const name = expression(face.label);
    this.box.classList.toggle("unsure", face.unsure);
    this.title.textContent = face.unsure ? say("unsure") : name;
    this.detail.textContent = face.unsure ? say("perhaps", name) : percent(face.probability);
    this.number.textContent = String(number);
    this.box.setAttribute("aria-label", `${say("face", number)}: ${this.title.textContent}, ${this.detail.textContent}`);
    const likeliest = Object.entries(face.probabilities).sort((a, b) => b[1] - a[1]).slice(0, LIKELIEST);
    for (const [label, value] of Object.entries(face.probabilities)) {
      const minor = !likeliest.some(([name]) => name === label);
      this.rows.get(label).update(expression(label), value, { best: label === face.label, minor });
    }
  }
}

class Row {
  constructor() {
    this.fill = element("span", "fill");
    this.parts = [element("dt"), element("dd", "bar", element("div", "track", this.fill)), element("dd", "value")];
  }

  update(name, value, { best, minor }) {
    const [title, bar, text] = this.parts;
    title.textContent = name;
    text.textContent = percent(value);
    this.fill.style.transform = `scaleX(${value.toFixed(4)})`;
    for (const part of [title, bar, text]) {
      part.classList.toggle("best", best);
      part.classList.toggle("minor", minor);
    }
  }
}
