// The camera: frames as JPEG, one after the other as the server answers them.

import { Stream } from "./ask.js";

const LONGEST_SIDE = 640;
const QUALITY = 0.85;
const RETRY_MILLISECONDS = 500;

export class Camera {
  constructor(key, { onAnswer, onProblem, onEnd, onLost }) {
    this.key = key;
    this.told = { onAnswer, onProblem, onEnd, onLost };
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.playsInline = true;
    this.small = document.createElement("canvas");
    this.answers = [];
  }

  /** Throws what getUserMedia throws, and AbortError where it was stopped meanwhile. */
  async start() {
    this.media = await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: LONGEST_SIDE }, height: { ideal: 480 }, facingMode: "user" },
      audio: false,
    });
    this.unlessStopped();
    for (const track of this.media.getTracks()) track.onended = () => this.lost(); // not when we stop it
    this.video.srcObject = this.media;
    await this.video.play();
    this.unlessStopped();
    this.stream = new Stream(this.key, {
      onOpen: () => this.next(),
      onAnswer: (picture, milliseconds) => {
        this.told.onAnswer(picture, this.rate(milliseconds));
        this.next();
      },
      onProblem: (problem) => {
        this.told.onProblem(problem);
        this.nextButLater();
      },
      onEnd: (opened) => {
        this.stop();
        this.told.onEnd(opened);
      },
    });
  }

  /** A camera that opens when nobody waits for it any more goes off at once. */
  unlessStopped() {
    if (!this.stopped) return;
    this.stop();
    throw new DOMException("", "AbortError");
  }

  stop() {
    this.stopped = true;
    this.stream?.close();
    this.media?.getTracks().forEach((track) => track.stop());
    this.video.srcObject = null; // else a `play` that waits for its first frame would wait for ever
  }

  /** The camera was unplugged, or taken away by the system. */
  lost() {
    if (this.stopped) return;
    this.stop();
    this.told.onLost();
  }

  next() {
    if (this.stopped) return;
    const { videoWidth: width, videoHeight: height } = this.video;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
    this.small.width = Math.round(width * scale);
    this.small.height = Math.round(height * scale);
    this.small.getContext("2d").drawImage(this.video, 0, 0, this.small.width, this.small.height);
    const send = (blob) => (blob ? this.stream.send(blob) : this.nextButLater()); // no blob: no picture yet
    this.small.toBlob(send, "image/jpeg", QUALITY);
  }

  nextButLater() {
    setTimeout(() => this.next(), RETRY_MILLISECONDS);
  }

  /** Answers of the last four seconds, as frames a second, and how long the last one took. */
  rate(milliseconds) {
    const now = performance.now();
    this.answers = [...this.answers.filter((time) => now - time < 4000), now];
    const span = (now - this.answers[0]) / 1000;
    const frames = span > 0 ? (this.answers.length - 1) / span : 0;
    return { frames: frames.toFixed(frames < 5 ? 1 : 0), milliseconds: Math.round(milliseconds) };
  }
}
