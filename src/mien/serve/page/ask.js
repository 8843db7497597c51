// The two ways to ask the server: a picture over HTTP, a camera's frames over a WebSocket.

/** What the server said no to: `code`, `message`, `hint` as in every error of its API. */
export class Refused extends Error {
  constructor(body) {
    super(body.message);
    Object.assign(this, body);
  }
}

// What an answer means that is not the server's own: a proxy's, or the one to a connection too many.
const BY_STATUS = { 413: "too_large", 503: "busy", 504: "timeout" };

/** The error in an answer, `code` at least. */
export async function problemOf(answer) {
  const body = await answer.json().catch(() => null);
  return body?.code ? body : { code: BY_STATUS[answer.status] ?? "unreachable" };
}

export async function askPicture(picture, key, signal) {
  const headers = { "Content-Type": picture.type };
  if (key) headers.Authorization = `Bearer ${key}`;
  let answer;
  try {
    answer = await fetch("/v1/predict", { method: "POST", headers, body: picture, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Refused({ code: "unreachable" });
  }
  if (!answer.ok) throw new Refused(await problemOf(answer));
  const body = await answer.json().catch(() => null);
  if (!body?.pictures) throw new Refused({ code: "unreachable" });
  return body.pictures[0];
}

function keyProtocol(key) {
  const bytes = String.fromCharCode(...new TextEncoder().encode(key));
  return `mien.key.${btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

/**
 * A stream of frames. Sends the next frame only when the last one is answered, so nothing piles up on the way.
 * `onAnswer(picture, milliseconds)`, `onEnd(opened)`: whether it had ever been open.
 */
export class Stream {
  constructor(key, { onOpen, onAnswer, onProblem, onEnd }) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const protocols = key ? ["mien.v1", keyProtocol(key)] : ["mien.v1"];
    this.socket = new WebSocket(`${scheme}://${location.host}/v1/stream`, protocols);
    let opened = false;
    this.socket.onopen = () => {
      opened = true;
      onOpen();
    };
    this.socket.onmessage = ({ data }) => {
      const answer = JSON.parse(data);
      if (answer.error) onProblem(answer.error);
      else onAnswer(answer.picture, performance.now() - this.sent);
    };
    this.socket.onclose = () => onEnd(opened);
  }

  send(frame) {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.sent = performance.now();
    this.socket.send(frame);
  }

  close() {
    this.socket.onclose = null;
    this.socket.close();
  }
}
