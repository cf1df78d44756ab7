import type { Fault, Language } from "mobile-bind-client";

/** What the page itself says; what the service refuses, it says in its own words. */
export interface Words {
  title: string;
  lead: string;
  changeLead: string;
  mobile: string;
  send: string;
  sending: string;
  sent: string;
  codeTitle: string;
  codeSent: (mobile: string) => string;
  code: string;
  bind: string;
  binding: string;
  resend: string;
  resendIn: (seconds: number) => string;
  otherNumber: string;
  bound: string;
  account: string;
  member: string;
  changeNumber: string;
  logOut: string;
  language: string;
  keep: string;
  development: string;
  inbox: string;
  explorer: string;
  captcha: string;
  captchaWanted: string;
  captchaSolved: string;
  captchaAway: string;
  faults: Record<Fault, string>;
}

export const WORDS: Record<Language, Words> = {
  zh: {
    title: "绑定手机号",
    lead: "我们会向您的手机发送一条验证码短信。",
    changeLead: "输入新的手机号，验证后将替换当前号码。",
    mobile: "手机号码",
    send: "获取验证码",
    sending: "发送中…",
    sent: "验证码已发送",
    codeTitle: "输入验证码",
    codeSent: (mobile) => `验证码已发送至 ${mobile}`,
    code: "验证码",
    bind: "确认绑定",
    binding: "绑定中…",
    resend: "重新发送",
    resendIn: (seconds) => `${seconds} 秒后可重新发送`,
    otherNumber: "更换号码",
    bound: "绑定成功",
    account: "手机号码",
    member: "会员号",
    changeNumber: "换绑手机号",
    logOut: "退出登录",
    language: "语言",
    keep: "保留当前号码",
    development: "开发环境，不会真正发送短信。",
    inbox: "收件箱",
    explorer: "接口文档",
    captcha: "人机验证",
    captchaWanted: "发送前请先完成人机验证",
    captchaSolved: "验证已通过，请获取验证码",
    captchaAway: "人机验证无法加载，请检查网络后重试",
    faults: {
      offline: "网络连接失败，请检查网络后重试",
      timeout: "服务响应超时，请稍后重试",
      unreadable: "服务异常，请稍后重试",
    },
  },
  en: {
    title: "Bind your mobile number",
    lead: "We will text you a verification code.",
    changeLead: "Enter the new number. Once verified, it replaces the current one.",
    mobile: "Mobile number",
    send: "Send code",
    sending: "Sending…",
    sent: "Code sent",
    codeTitle: "Enter the code",
    codeSent: (mobile) => `We sent it to ${mobile}`,
    code: "Verification code",
    bind: "Bind number",
    binding: "Binding…",
    resend: "Send again",
    resendIn: (seconds) => `Send again in ${seconds} s`,
    otherNumber: "Use another number",
    bound: "Your number is bound",
    account: "Mobile number",
    member: "Member number",
    changeNumber: "Change number",
    logOut: "Log out",
    language: "Language",
    keep: "Keep the current number",
    development: "Development: no message is really sent.",
    inbox: "Inbox",
    explorer: "API explorer",
    captcha: "Are you a person?",
    captchaWanted: "Solve the captcha first, then send the code",
    captchaSolved: "Thank you. You can send the code now",
    captchaAway: "The captcha cannot be loaded. Check your network and try again",
    faults: {
      offline: "No connection. Check your network and try again",
      timeout: "The service takes too long. Try again in a moment",
      unreadable: "Something went wrong. Try again in a moment",
    },
  },
  cht: {
    title: "綁定手機號碼",
    lead: "我們會傳送一則驗證碼簡訊到您的手機。",
    changeLead: "輸入新的手機號碼，驗證後將取代目前的號碼。",
    mobile: "手機號碼",
    send: "取得驗證碼",
    sending: "傳送中…",
    sent: "驗證碼已傳送",
    codeTitle: "輸入驗證碼",
    codeSent: (mobile) => `驗證碼已傳送至 ${mobile}`,
    code: "驗證碼",
    bind: "確認綁定",
    binding: "綁定中…",
    resend: "重新傳送",
    resendIn: (seconds) => `${seconds} 秒後可重新傳送`,
    otherNumber: "更換號碼",
    bound: "綁定成功",
    account: "手機號碼",
    member: "會員編號",
    changeNumber: "更換綁定號碼",
    logOut: "登出",
    language: "語言",
    keep: "保留目前的號碼",
    development: "開發環境，不會真正傳送簡訊。",
    inbox: "收件匣",
    explorer: "API 文件",
    captcha: "人機驗證",
    captchaWanted: "傳送前請先完成人機驗證",
    captchaSolved: "驗證已通過，請取得驗證碼",
    captchaAway: "人機驗證無法載入，請檢查網路後再試",
    faults: {
      offline: "網路連線失敗，請檢查網路後再試",
      timeout: "服務回應逾時，請稍後再試",
      unreadable: "服務異常，請稍後再試",
    },
  },
  spa: {
    title: "Vincula tu número de móvil",
    lead: "Te enviaremos un código de verificación por SMS.",
    changeLead: "Introduce el número nuevo. Cuando lo verifiques, sustituirá al actual.",
    mobile: "Número de móvil",
    send: "Enviar código",
    sending: "Enviando…",
    sent: "Código enviado",
    codeTitle: "Introduce el código",
    codeSent: (mobile) => `Lo hemos enviado al ${mobile}`,
    code: "Código de verificación",
    bind: "Vincular número",
    binding: "Vinculando…",
    resend: "Enviar de nuevo",
    resendIn: (seconds) => `Enviar de nuevo en ${seconds} s`,
    otherNumber: "Usar otro número",
    bound: "Tu número está vinculado",
    account: "Número de móvil",
    member: "Número de socio",
    changeNumber: "Cambiar de número",
    logOut: "Cerrar sesión",
    language: "Idioma",
    keep: "Conservar el número actual",
    development: "Desarrollo: no se envía ningún mensaje real.",
    inbox: "Bandeja",
    explorer: "Explorador de la API",
    captcha: "¿Eres una persona?",
    captchaWanted: "Resuelve primero el captcha y luego envía el código",
    captchaSolved: "Gracias. Ya puedes enviar el código",
    captchaAway: "No se puede cargar el captcha. Comprueba la red y vuelve a intentarlo",
    faults: {
      offline: "Sin conexión. Comprueba la red y vuelve a intentarlo",
      timeout: "El servicio tarda demasiado. Prueba dentro de un momento",
      unreadable: "Algo ha fallado. Prueba dentro de un momento",
    },
  },
};
