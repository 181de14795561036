// The API as the console uses it. The key lives in this tab only.

const KEY = 'antlive-api-key';

export class ApiError extends Error {
  constructor(status, { code, message, field }) {
    super(message);
    this.status = status;
    this.code = code;
    this.field = field;
  }
}

export class Api {
  constructor(key) {
    this.key = key;
    this.onRefused = () => {};
  }

  static remembered() {
    const key = sessionStorage.getItem(KEY);
    return key ? new Api(key) : null;
  }

  remember() {
    sessionStorage.setItem(KEY, this.key);
  }

  forget() {
    sessionStorage.removeItem(KEY);
  }

  headers(more = {}) {
    return { Authorization: `Bearer ${this.key}`, ...more };
  }

  async request(method, path, body) {
    let response;
    try {
      response = await fetch(`/v1${path}`, {
        method,
        headers: this.headers(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: 'no-store',
      });
    } catch (error) {
      throw new ApiError(0, { code: 'unreachable', message: `The server does not answer (${error.message}).` });
    }
    if (response.status === 204) return null;
    const text = await response.text();
    if (response.ok) return JSON.parse(text);
    if (response.status === 401) this.onRefused();
    throw new ApiError(response.status, errorOf(text, response.status));
  }

  get(path) {
    return this.request('GET', path);
  }

  post(path, body) {
    return this.request('POST', path, body);
  }

  patch(path, body) {
    return this.request('PATCH', path, body);
  }

  delete(path) {
    return this.request('DELETE', path);
  }
}

function errorOf(text, status) {
  try {
    return JSON.parse(text).error;
  } catch (error) {
    console.debug('not an answer of the API', error);
    return { code: 'unexpected', message: `The server answered ${status}.` };
  }
}
