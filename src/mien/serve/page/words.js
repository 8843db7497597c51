// All words of the page, in English and Chinese, and the names of expressions.

const WORDS = {
  en: {
    skip: "Skip to the buttons",
    tagline: "Expression labels for faces in pictures",
    picture: "Picture",
    invite: "Drop a picture here, or paste one.",
    stays: "It goes to this server only. Nothing is stored or logged.",
    choose: "Choose a picture",
    camera: "Use the camera",
    stop: "Stop the camera",
    clear: "Clear",
    faces: "Faces",
    waiting: "Each face will appear here with its labels.",
    nobody: "No face found.",
    looking: "Looking…",
    keyLabel: "This server asks for an API key",
    keySend: "Use the key",
    aboutTitle: "What an expression label is, and is not",
    aboutIs: "It says how a face looks in one picture to the people who labelled the training pictures.",
    aboutNot: "It does not say what a person feels, intends or is like.",
    aboutUnsure:
      "Bars show how sure the model is, and it can be sure and wrong. Where it says “unsure”, do not use the label.",
    aboutLaw:
      "Faces are personal. Ask people before you point a camera at them; inferring emotions at work or at school is banned in the EU with narrow exceptions.",
    unsure: "unsure",
    perhaps: (label) => `perhaps ${label}`,
    face: (number) => `Face ${number}`,
    sentence: (label, percent) => `${label} ${percent}`,
    summary: (count, list) => `${count === 1 ? "1 face" : `${count} faces`}: ${list}`,
    rate: (frames, milliseconds) => `${frames} frames/s · ${milliseconds} ms`,
    cropped: "The whole picture is taken for one face.",
    notPicture: "Your browser cannot show this file as a picture.",
    noCamera: "No camera was found.",
    busyCamera: "The camera does not start. It may be in use by another program.",
    lostCamera: "The camera is gone. Connect it and start it again.",
    refusedCamera: "The camera may not be used. Allow it in the browser and try again.",
    insecure: "Browsers give the camera only to pages on this machine or over https.",
    unreachable: "The server does not answer.",
    noKey: "A key has letters, digits and signs of ASCII, without spaces in it.",
    streamEnded: "The connection to the server ended.",
  },
  zh: {
    skip: "跳到按钮",
    tagline: "图片中人脸的表情标签",
    picture: "图片",
    invite: "将图片拖到此处，或直接粘贴。",
    stays: "图片只发送到本服务器，不会被保存，也不会写入日志。",
    choose: "选择图片",
    camera: "使用摄像头",
    stop: "关闭摄像头",
    clear: "清除",
    faces: "人脸",
    waiting: "找到的每张人脸及其标签会显示在这里。",
    nobody: "没有找到人脸。",
    looking: "正在识别……",
    keyLabel: "此服务器需要 API 密钥",
    keySend: "使用密钥",
    aboutTitle: "表情标签是什么，不是什么",
    aboutIs: "它说明在一张图片里，这张脸在训练图片的标注者看来是什么样子。",
    aboutNot: "它不说明一个人的感受、意图或性格。",
    aboutUnsure: "条形表示模型有多大把握；有把握也可能出错。显示“不确定”时，请不要使用该标签。",
    aboutLaw: "人脸属于个人信息。用摄像头对准他人之前，请先征得同意；在欧盟，除少数例外，禁止在工作场所和学校推断情绪。",
    unsure: "不确定",
    perhaps: (label) => `可能是${label}`,
    face: (number) => `人脸 ${number}`,
    sentence: (label, percent) => `${label} ${percent}`,
    summary: (count, list) => `${count} 张人脸：${list}`,
    rate: (frames, milliseconds) => `每秒 ${frames} 帧 · ${milliseconds} 毫秒`,
    cropped: "整张图片被当作一张人脸。",
    notPicture: "浏览器无法将此文件显示为图片。",
    noCamera: "没有找到摄像头。",
    busyCamera: "无法启动摄像头，它可能正被其他程序使用。",
    lostCamera: "摄像头已断开。请重新连接后再启动。",
    refusedCamera: "无法使用摄像头。请在浏览器中允许后重试。",
    insecure: "浏览器只允许本机页面或 https 页面使用摄像头。",
    unreachable: "服务器没有响应。",
    noKey: "密钥由 ASCII 字母、数字和符号组成，中间没有空格。",
    streamEnded: "与服务器的连接已断开。",
  },
};

// The server's errors by their code. Its own messages are English and say more; English readers get these where there
// is none, as in a proxy's answer.
const PROBLEMS = {
  en: {
    invalid_request: "The server cannot read what the page sent.",
    unauthorised: "A valid API key is needed.",
    forbidden: "The server does not take requests under this address.",
    not_found: "The server does not have this.",
    method_not_allowed: "The server does not allow this.",
    too_slow: "The picture took too long to arrive. Check the connection and try again.",
    too_large: "The picture is too large. Make it smaller and try again.",
    unsupported_type: "Only JPEG, PNG and WebP pictures are taken.",
    unreadable_picture: "The picture is damaged or cannot be read.",
    invalid_parameter: "The page asked for something the server does not know.",
    internal: "Something went wrong in the server.",
    busy: "The server is busy. Try again in a moment.",
    not_ready: "The server is not ready yet. Try again in a moment.",
    timeout: "The server did not answer in time. Try again in a moment.",
  },
  zh: {
    invalid_request: "服务器无法读取页面发送的内容。",
    forbidden: "服务器不接受来自此地址的请求。",
    not_found: "服务器上没有此内容。",
    method_not_allowed: "服务器不允许此操作。",
    too_slow: "图片上传太慢，请检查网络后再试。",
    invalid_parameter: "页面请求了服务器不支持的选项。",
    internal: "服务器内部出错。",
    not_ready: "服务器尚未就绪，请稍后再试。",
    busy: "服务器正忙，请稍后再试。",
    timeout: "服务器没有及时给出结果，请稍后再试。",
    too_large: "图片太大，请缩小后再试。",
    unsupported_type: "只接受 JPEG、PNG 和 WebP 图片。",
    unreadable_picture: "图片已损坏或无法读取。",
    unauthorised: "需要有效的 API 密钥。",
  },
};

const EXPRESSIONS = [
  ["happy happiness", "happy", "高兴"],
  ["sad sadness", "sad", "悲伤"],
  ["angry anger", "angry", "愤怒"],
  ["fear fearful", "fearful", "恐惧"],
  ["surprise surprised", "surprised", "惊讶"],
  ["disgust disgusted", "disgusted", "厌恶"],
  ["contempt", "contemptuous", "轻蔑"],
  ["neutral", "neutral", "平静"],
  ["unknown", "unknown", "不明"],
  ["nf not-a-face", "not a face", "非人脸"],
];

let language = "en";

export function setLanguage(wanted) {
  language = wanted;
}

/** Browsers that keep nothing for a page throw where others remember. */
export function rememberLanguage(chosen) {
  try {
    localStorage.setItem("language", chosen);
  } catch {}
}

function rememberedLanguage() {
  try {
    return localStorage.getItem("language");
  } catch {
    return null;
  }
}

export function preferredLanguage() {
  const chosen = rememberedLanguage();
  if (chosen in WORDS) return chosen;
  const known = navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag in WORDS);
  return known ?? "en";
}

export function say(key, ...values) {
  const word = WORDS[language][key];
  return typeof word === "function" ? word(...values) : word;
}

/** A problem of the page or the server in the reader's language; in English in the server's own words. */
export function sayProblem({ code, message, hint }) {
  const told = [message, hint].filter(Boolean).join(" – ");
  const ours = WORDS[language][code] ?? PROBLEMS[language][code];
  return code in PROBLEMS.en && language === "en" ? told || ours : ours ?? told;
}

/** The name of an expression for people; names the page does not know stay as the model has them. */
export function expression(label) {
  const known = EXPRESSIONS.find(([names]) => names.split(" ").includes(label.toLowerCase()));
  return known ? known[language === "zh" ? 2 : 1] : label;
}

export function percent(value) {
  return `${Math.round(100 * value)} %`;
}
