// A file as a bitmap to show and as bytes to send.

import { Refused } from "./ask.js";

const LONGEST_SIDE = 2048;
const MOST_BYTES = 4 * 2 ** 20;
// Not WebP, which Chromium shows as it lies in the file while the server turns it upright by its EXIF data.
const SENT_AS_IT_IS = ["image/jpeg", "image/png"];

/**
 * What the browser can show can be asked about: large pictures are made smaller here, and other kinds (WebP, HEIC in
 * Safari, AVIF, GIF) become JPEG, so that little is sent. Throws `Refused` for what is no picture to the browser.
 */
export async function readPicture(file) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Refused({ code: "notPicture" });
  });
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  if (scale === 1 && file.size <= MOST_BYTES && SENT_AS_IT_IS.includes(file.type)) return { bitmap, picture: file };
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // where it is transparent, as the server has it
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return { bitmap, picture: await canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 }) };
}
