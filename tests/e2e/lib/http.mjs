// One request with all that its answer says, for what the SDKs do not show.
import { request } from 'node:http'

/** → {status, headers, body, json}; `body` an object is sent as JSON. */
export function call(system, method, path, { key, headers = {}, body, agent } = {}) {
  const text = typeof body === 'object' ? JSON.stringify(body) : body
  return new Promise((resolve, reject) => {
    const asked = request({
      agent, host: '127.0.0.1', port: system.port, method, path,
      headers: {
        ...(key && { authorization: `Bearer ${key}` }),
        ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        ...headers,
      },
    }, answer => {
      let got = ''
      answer.on('data', part => { got += part })
      answer.on('end', () => resolve({
        status: answer.statusCode, headers: answer.headers, body: got,
        get json() { return JSON.parse(got) },
      }))
    })
    asked.on('error', reject)
    asked.end(text)
  })
}
