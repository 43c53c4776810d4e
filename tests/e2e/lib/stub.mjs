// A provider that answers with bytes: what no honest server sends. It reads whole requests and gives each to `play`.
import { createServer } from 'node:net'
import tls from 'node:tls'

export class Stub {
  /** secure: () → a tls.SecureContext for the next connection, or nothing for plain TCP. */
  static async start({ secure } = {}) {
    const stub = new Stub()
    stub.connections = []
    stub.requests = 0
    stub.play = socket => socket.destroy()
    stub.greet = () => {}         // called with each connection, before anything is read
    stub.wholeRequests = true     // false: `play` is called when the head is there, and no more is read
    stub.server = createServer({ noDelay: true }, raw => stub.serve(raw, secure))
    await new Promise(done => stub.server.listen(0, '127.0.0.1', done))
    stub.port = stub.server.address().port
    return stub
  }

  serve(raw, secure) {
    raw.on('error', () => {})
    const connection = { raw, closed: false, requests: [] }
    this.connections.push(connection)
    raw.on('close', () => { connection.closed = true })
    this.greet(raw)
    const socket = secure ? new tls.TLSSocket(raw, { isServer: true, secureContext: secure() }) : raw
    socket.raw = raw
    socket.on('error', () => {})
    connection.socket = socket
    let text = ''
    socket.on('data', part => {
      text += part.latin1Slice()
      for (;;) {
        const end = text.indexOf('\r\n\r\n')
        if (end < 0) return
        const length = this.wholeRequests ? Number(/^content-length: *(\d+)/im.exec(text.slice(0, end))?.[1] ?? 0) : 0
        if (text.length < end + 4 + length) return
        const request = { head: text.slice(0, end + 4), body: text.slice(end + 4, end + 4 + length) }
        text = text.slice(end + 4 + length)
        if (!this.wholeRequests) {
          text = ''
          socket.pause()
        }
        connection.requests.push(request)
        this.requests += 1
        this.play(socket, request, connection)
      }
    })
  }

  get last() { return this.connections.at(-1) }

  stop() {
    for (const { raw } of this.connections) raw.destroy()
    this.server.close()
  }
}
