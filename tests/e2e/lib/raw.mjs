// Requests as bytes, for what no SDK would send.
import { connect } from 'node:net'

/** Opens a connection. `bytes` gathers what comes back, `ended` resolves when the other side has closed. */
export function open(port, localAddress) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true })
    socket.bytes = ''
    socket.on('data', part => { socket.bytes += part.toString('latin1') })
    socket.ended = new Promise(done => { socket.on('close', done) })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      socket.on('error', () => {})  // a reset shows as `ended`
      resolve(socket)
    })
  })
}

/** Head and body of a POST. */
export function post(path, body, { key, headers = {}, length } = {}) {
  const lines = [`POST ${path} HTTP/1.1`, 'Host: sluice.test', 'Content-Type: application/json',
    `Content-Length: ${length ?? Buffer.byteLength(body)}`]
  if (key) lines.push(`Authorization: Bearer ${key}`)
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

export const chat = (model, more = {}) => JSON.stringify({ model, messages: [{ role: 'user', content: 'hello there' }], ...more })

/** Status of the first answer in `text`, 0 if none. */
export const statusOf = text => Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0)

/** Sends bytes and returns the answer when it is whole, the connection has closed, or the time is up. */
export async function exchange(port, bytes, { ms = 5000 } = {}) {
  const socket = await open(port)
  socket.write(bytes)
  const deadline = Date.now() + ms
  let closed = false
  socket.ended.then(() => { closed = true })
  while (!closed && Date.now() < deadline && !whole(socket.bytes)) await new Promise(next => setTimeout(next, 5))
  socket.destroy()
  return { status: statusOf(socket.bytes), text: socket.bytes, body: socket.bytes.split('\r\n\r\n').slice(1).join('\r\n\r\n'), closed }
}

function whole(text) {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return false
  const length = /content-length: *(\d+)/i.exec(text.slice(0, end))
  if (length) return text.length >= end + 4 + Number(length[1])
  return /transfer-encoding: *chunked/i.test(text.slice(0, end)) && text.endsWith('0\r\n\r\n')
}
