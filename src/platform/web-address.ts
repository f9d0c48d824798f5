/** Whether a text is the address of something on the web: http or https, without credentials, which fetch refuses to send. */
export function isWebAddress(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "";
}
