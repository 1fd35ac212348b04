// Looking for a slip through the camera, until one is found or somebody stops it. No picture is kept.

import { inVideo } from "./qr.js";

const PAUSE_MS = 120;
const WISHED = { audio: false, video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } } };

/** The camera behind a video element. */
export class Camera {
  /** @type {MediaStream | null} */
  #stream = null;
  #turn = 0;

  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.video = video;
  }

  /**
   * Look until `take` says that a text was a slip. Throws what `getUserMedia` throws.
   * @param {(text: string) => boolean} take
   */
  async look(take) {
    this.stop();
    if (navigator.mediaDevices === undefined) throw new DOMException("no camera", "NotFoundError");
    const turn = this.#turn;
    const stream = await navigator.mediaDevices.getUserMedia(WISHED);
    if (turn !== this.#turn) return release(stream); // stopped while the person was asked
    this.#stream = stream;
    this.video.srcObject = stream;
    await this.video.play();
    while (turn === this.#turn) {
      const text = await inVideo(this.video);
      if (turn === this.#turn && text !== null && take(text)) this.stop();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** Turn it off: its light goes out. */
  stop() {
    this.#turn += 1;
    if (this.#stream !== null) release(this.#stream);
    this.#stream = null;
    this.video.srcObject = null;
  }
}

/** @param {MediaStream} stream */
function release(stream) {
  stream.getTracks().forEach((track) => track.stop());
}
