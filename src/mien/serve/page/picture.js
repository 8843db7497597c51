// A file as something to show and as bytes to send, both the same picture.

import { Refused } from "./ask.js";
import { isLosslessWebp, orientationOf, turnsWebp } from "./webp.js";

const LONGEST_SIDE = 2048;
const MOST_BYTES = 4 * 2 ** 20;
const HEAD_BYTES = 16;
const JPEG = [0xff, 0xd8, 0xff];
const LOSSLESS = [[0x89, 0x50, 0x4e, 0x47], [0x47, 0x49, 0x46, 0x38], [0x42, 0x4d]]; // PNG, GIF, BMP
// To draw it upright, by EXIF orientation and the size it is drawn at before it is turned.
const TURNS = {
  2: (width) => [-1, 0, 0, 1, width, 0],
  3: (width, height) => [-1, 0, 0, -1, width, height],
  4: (width, height) => [1, 0, 0, -1, 0, height],
  5: () => [0, 1, 1, 0, 0, 0],
  6: (width, height) => [0, 1, -1, 0, height, 0],
  7: (width, height) => [0, -1, -1, 0, height, width],
  8: (width) => [0, -1, 1, 0, 0, width],
};
const FIRST_ON_ITS_SIDE = 5; // orientations 5 to 8 swap height and width

/**
 * What the browser can show can be asked about. By content, not by name: a JPEG that is not large goes as it is; all
 * else is drawn anew, smaller where it is large, and what is shown is what is sent: PNG where nothing was lost before,
 * if that is not too much to send, and else JPEG. Throws `Refused` for what is no picture to the browser.
 */
export async function readPicture(file) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Refused({ code: "notPicture" });
  });
  const head = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  if (scale === 1 && file.size <= MOST_BYTES && begins(head, JPEG)) {
    return { bitmap, picture: file.slice(0, file.size, "image/jpeg") };
  }
  const webp = isWebp(head) ? new Uint8Array(await file.arrayBuffer()) : null;
  const canvas = drawn(bitmap, scale, webp && !(await turnsWebp()) ? orientationOf(webp) : 1);
  const lossless = webp ? isLosslessWebp(webp) : LOSSLESS.some((kind) => begins(head, kind));
  return { bitmap: canvas, picture: await encoded(canvas, lossless) };
}

function drawn(bitmap, scale, orientation) {
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = new OffscreenCanvas(...(orientation < FIRST_ON_ITS_SIDE ? [width, height] : [height, width]));
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // where it is transparent, as the server has it
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  const turn = TURNS[orientation];
  if (turn) context.setTransform(...turn(width, height));
  context.drawImage(bitmap, 0, 0, width, height);
  return canvas;
}

async function encoded(canvas, lossless) {
  const png = lossless && (await canvas.convertToBlob({ type: "image/png" }));
  return png && png.size <= MOST_BYTES ? png : canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
}

function begins(bytes, start) {
  return start.every((byte, i) => bytes[i] === byte);
}

function isWebp(head) {
  const text = String.fromCharCode(...head);
  return text.startsWith("RIFF") && text.startsWith("WEBP", 8);
}
