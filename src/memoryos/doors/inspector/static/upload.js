/** Uploads a file and reports the progress. XMLHttpRequest is used, because fetch reports no upload progress. */

import { knownKey, Problem, scopeUrl } from "./api.js";

/**
 * @param {{userId: string, assistantId: string}} scope
 * @param {Blob} file
 * @param {{onSent: (share: number) => void, signal: AbortSignal}} options `share` from 0 to 1
 * @returns {Promise<any>} the result of the import
 * @throws {Problem} with status 0 if the server can't be reached
 */
export function upload(scope, file, { onSent, signal }) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", scopeUrl(scope, "/import"));
    sending.responseType = "json";
    sending.setRequestHeader("Content-Type", "application/octet-stream");
    if (knownKey()) sending.setRequestHeader("Authorization", `Bearer ${knownKey()}`);
    sending.upload.onprogress = (event) => event.lengthComputable && onSent(event.loaded / event.total);
    sending.upload.onload = () => onSent(1);
    sending.onload = () => {
      if (sending.status < 400) resolve(sending.response);
      else reject(new Problem({ title: sending.statusText, ...sending.response, status: sending.status }));
    };
    sending.onerror = () => reject(new Problem({ status: 0, title: "offline" }));
    sending.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal.addEventListener("abort", () => sending.abort());
    sending.send(file);
  });
}
