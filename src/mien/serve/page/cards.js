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

  /** Cards for these faces by their numbers; `cutOut(number, canvas)` draws a face's own picture. */
  show(faces, cutOut) {
    const sorted = [...faces].sort((a, b) => a.number - b.number);
    const cards = sorted.map((face) => this.cards.find((card) => card.fits(face)) ?? this.make(face));
    for (const gone of this.cards.filter((card) => !cards.includes(card))) gone.item.remove();
    cards.forEach(({ item }, place) => {
      // What stays is not put in again, which would take its focus.
      if (this.list.children[place] !== item) this.list.insertBefore(item, this.list.children[place] ?? null);
    });
    this.cards = cards;
    sorted.forEach((face, place) => {
      cards[place].update(face);
      cutOut(face.number, cards[place].thumb);
    });
  }

  /** Mark the card of a face; null for none. */
  choose(number, { focus = false } = {}) {
    for (const card of this.cards) {
      card.box.classList.toggle("chosen", card.number === number);
      if (focus && card.number === number) card.box.focus();
    }
  }

  make(face) {
    const card = new Card(face);
    for (const event of ["focus", "mouseenter"]) card.box.addEventListener(event, () => this.onChoose(card.number));
    for (const event of ["blur", "mouseleave"]) card.box.addEventListener(event, () => this.onChoose(null));
    return card;
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
  constructor({ number, probabilities }) {
    this.number = number;
    this.thumb = element("canvas");
    this.thumb.width = this.thumb.height = THUMB;
    this.thumb.setAttribute("aria-hidden", "true");
    this.title = element("h3");
    this.detail = element("p", "fine");
    this.rows = new Map(Object.keys(probabilities).map((label) => [label, new Row()]));
    const bars = element("dl", "bars", ...[...this.rows.values()].flatMap((row) => row.parts));
    const shown = element("span", "number", String(number));
    this.box = element(
      "div", "face", element("header", "", this.thumb, element("div", "", this.title, this.detail), shown), bars,
    );
    this.box.tabIndex = 0;
    this.box.setAttribute("role", "group");
    this.item = element("li", "", this.box);
  }

  fits(face) {
    const labels = Object.keys(face.probabilities);
    const same = labels.length === this.rows.size && labels.every((label) => this.rows.has(label));
    return same && face.number === this.number;
  }

  update(face) {
    const name = expression(face.label);
    this.box.classList.toggle("unsure", face.unsure);
    this.title.textContent = face.unsure ? say("unsure") : name;
    this.detail.textContent = face.unsure ? say("perhaps", name) : percent(face.probability);
    const said = `${this.title.textContent}, ${this.detail.textContent}`;
    this.box.setAttribute("aria-label", `${say("face", this.number)}: ${said}`);
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
