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
    looks: (label) => `looks ${label}`,
    sentence: (label, percent) => `${label} ${percent}`,
    summary: (count, list) => `${count === 1 ? "1 face" : `${count} faces`}: ${list}`,
    rate: (frames, milliseconds) => `${frames} frames/s · ${milliseconds} ms`,
    cropped: "The whole picture is taken for one face.",
    notPicture: "Your browser cannot show this file as a picture.",
    noCamera: "No camera was found.",
    refusedCamera: "The camera may not be used. Allow it in the browser and try again.",
    insecure: "Browsers give the camera only to pages on this machine or over https.",
    unreachable: "The server does not answer.",
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
    looks: (label) => `看起来：${label}`,
    sentence: (label, percent) => `${label} ${percent}`,
    summary: (count, list) => `${count} 张人脸：${list}`,
    rate: (frames, milliseconds) => `每秒 ${frames} 帧 · ${milliseconds} 毫秒`,
    cropped: "整张图片被当作一张人脸。",
    notPicture: "浏览器无法将此文件显示为图片。",
    noCamera: "没有找到摄像头。",
    refusedCamera: "无法使用摄像头。请在浏览器中允许后重试。",
    insecure: "浏览器只允许本机页面或 https 页面使用摄像头。",
    unreachable: "服务器没有响应。",
    streamEnded: "与服务器的连接已断开。",
  },
};

// The server's own messages are English; these are the ones a person at this page can do something about.
const PROBLEMS = {
  en: {},
  zh: {
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

/** A problem of the page or the server in the reader's language, or in the server's own words. */
export function sayProblem({ code, message, hint }) {
  return WORDS[language][code] ?? PROBLEMS[language][code] ?? [message, hint].filter(Boolean).join(" – ");
}

/** The name of an expression for people; names the page does not know stay as the model has them. */
export function expression(label) {
  const known = EXPRESSIONS.find(([names]) => names.split(" ").includes(label.toLowerCase()));
  return known ? known[language === "zh" ? 2 : 1] : label;
}

export function percent(value) {
  return `${Math.round(100 * value)} %`;
}
