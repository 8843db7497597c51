// What a WebP picture says of itself: Chromium turns pictures upright by their EXIF data, but not this kind.
// Formats: RFC 9649 (WebP), Exif 2.3 (TIFF header and first directory).

const ORIENTATION = 0x0112;
const CHUNKS_START = 12;
// Two pixels side by side, to be turned by a quarter.
const TURNED =
  "UklGRk4AAABXRUJQVlA4WAoAAAAIAAAAAQAAAAAAVlA4TA4AAAAvAQAAAAcQEf0PRET/A0VYSUYaAAAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAA=";

let turns = null;

/** Whether this browser turns WebP pictures itself; asked once. */
export function turnsWebp() {
  const bytes = Uint8Array.from(atob(TURNED), (letter) => letter.charCodeAt(0));
  turns ??= createImageBitmap(new Blob([bytes], { type: "image/webp" })).then(
    ({ width }) => width === 1,
    () => false,
  );
  return turns;
}

/** Whether nothing was lost when this picture, all its bytes, was written. */
export function isLosslessWebp(bytes) {
  return chunk(bytes, "VP8L") !== null;
}

/** EXIF orientation 1 to 8 of a picture, all its bytes; 1 where it says nothing that can be read. */
export function orientationOf(bytes) {
  const exif = chunk(bytes, "EXIF");
  try {
    return exif ? orientationIn(exif) : 1;
  } catch (error) {
    if (error instanceof RangeError) return 1; // cut off
    throw error;
  }
}

function orientationIn(exif) {
  const text = (at, length) => String.fromCharCode(...new Uint8Array(exif.buffer, exif.byteOffset + at, length));
  const start = text(0, 4) === "Exif" ? 6 : 0; // as it stands in JPEG; here some leave it in
  const little = text(start, 2) === "II";
  const directory = start + exif.getUint32(start + 4, little);
  const entries = exif.getUint16(directory, little);
  for (let entry = 0; entry < entries; entry++) {
    const place = directory + 2 + 12 * entry;
    if (exif.getUint16(place, little) !== ORIENTATION) continue;
    const found = exif.getUint16(place + 8, little);
    return found >= 1 && found <= 8 ? found : 1;
  }
  return 1;
}

/** The first chunk of a name, as a view of its bytes; null where there is none. */
function chunk(bytes, name) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = CHUNKS_START; at + 8 <= view.byteLength; ) {
    const size = view.getUint32(at + 4, true);
    if (String.fromCharCode(...bytes.subarray(at, at + 4)) === name) {
      return new DataView(view.buffer, view.byteOffset + at + 8, Math.min(size, view.byteLength - at - 8));
    }
    at += 8 + size + (size % 2);
  }
  return null;
}
