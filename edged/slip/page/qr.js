// Finding a QR code in a picture: by the browser's own detector where it has one for QR codes, else by jsQR.

const SIZES = [1600, 1000, 640]; // longest side in pixels: jsQR finds small modules in one, noisy ones in another

/** @typedef {{width: number, height: number}} Size */

/** @type {Promise<any> | undefined} */
let native;

/** @returns {Promise<any>} */
function nativeDetector() {
  native ??= (async () => {
    const Detector = globalThis.BarcodeDetector;
    const formats = (await Detector?.getSupportedFormats()) ?? [];
    return formats.includes("qr_code") ? new Detector({ formats: ["qr_code"] }) : null;
  })().catch(() => null);
  return native;
}

/** The text of a QR code in a photo, or null. @param {ImageBitmap} picture */
export async function inPhoto(picture) {
  const found = await byBrowser(picture);
  if (found !== null) return found;
  for (const size of SIZES) {
    const text = await byJsQR(picture, picture, size, "attemptBoth");
    if (text !== null) return text;
  }
  return null;
}

/** The text of a QR code in what a camera sees now, or null. @param {HTMLVideoElement} video */
export async function inVideo(video) {
  const size = { width: video.videoWidth, height: video.videoHeight };
  if (size.width === 0) return null;
  return (await byBrowser(video)) ?? byJsQR(video, size, SIZES[1], "dontInvert");
}

/** @param {ImageBitmapSource} source */
async function byBrowser(source) {
  const detector = await nativeDetector();
  if (detector === null) return null;
  try {
    const codes = await detector.detect(source);
    return codes[0]?.rawValue ?? null;
  } catch {
    return null; // some browsers have the detector and not the service behind it: jsQR is asked
  }
}

/** @param {CanvasImageSource} source @param {Size} size @param {number} longest @param {string} inversionAttempts */
async function byJsQR(source, size, longest, inversionAttempts) {
  if (globalThis.jsQR === undefined) await import("./jsQR.js"); // a script of its own: it sets the global
  const scale = Math.min(1, longest / Math.max(size.width, size.height));
  const [width, height] = [size.width, size.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff"; // a code on a transparent ground is black on black otherwise
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return globalThis.jsQR(data, width, height, { inversionAttempts })?.data || null;
}
