// Channels that lead through a proxy: real ones (tinyproxy for CONNECT, dante and microsocks for SOCKS5), with and
// without credentials, TLS with the provider inside the tunnel; and proxies that refuse, stall or lie.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { Authority } from '../lib/certificates.mjs'
import { PRICE, priceToml } from '../lib/price.mjs'
import { freePort, sleep, start, stop, until } from '../lib/processes.mjs'
import { proveExact } from '../lib/proof.mjs'
import { sdks } from '../lib/sdks.mjs'
import { System } from '../lib/system.mjs'

const openai = sdks.find(sdk => sdk.name === 'openai')
const SECRET = 'proxy-pass-1234567'
const children = []
const liars = []
let system, authority, key

const takes = port => until(() => new Promise(resolve => {
  const probe = connect(port, '127.0.0.1', () => { probe.destroy(); resolve(true) })
  probe.on('error', () => resolve(false))
}), `the proxy at ${port}`)

async function tinyproxy(name, lines) {
  const port = await freePort()
  const file = system.file(`${name}.conf`)
  writeFileSync(file, `Port ${port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nAllow 127.0.0.1\nLogFile "${system.file(`${name}.log`)}"\nLogLevel Connect\nConnectPort ${system.mock.tlsPort}\nConnectPort ${system.mock.port}\n${lines}\n`)
  children.push(start('/usr/bin/tinyproxy', ['-d', '-c', file], { log: system.file(`${name}.out`) }))
  await takes(port)
  return port
}

async function dante() {
  const port = await freePort()
  const file = system.file('dante.conf')
  writeFileSync(file, `logoutput: ${system.file('dante.log')}
internal: 127.0.0.1 port = ${port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
user.unprivileged: nobody
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks pass { from: 127.0.0.0/8 to: 127.0.0.0/8 port = ${system.mock.tlsPort} log: connect }
socks block { from: 0.0.0.0/0 to: 0.0.0.0/0 }
`)
  children.push(start('/usr/sbin/danted', ['-f', file, '-p', system.file('dante.pid')], { log: system.file('dante.out') }))
  await takes(port)
  return port
}

async function microsocks() {
  const port = await freePort()
  children.push(start('/usr/bin/microsocks', ['-i', '127.0.0.1', '-p', String(port), '-u', 'sluice', '-P', SECRET],
    { log: system.file('microsocks.out') }))
  await takes(port)
  return port
}

/** A proxy that answers with these bytes, a step each time something has come; null ends the connection. */
async function liar(...answers) {
  const server = createServer(socket => {
    let step = 0
    socket.on('error', () => {})
    socket.on('data', () => {
      const answer = answers[Math.min(step++, answers.length - 1)]
      if (answer === null) socket.destroy()
      else if (answer !== undefined) socket.write(answer, 'latin1')
    })
  })
  await new Promise(done => server.listen(0, '127.0.0.1', done))
  liars.push(server)
  return server.address().port
}

/** A channel to the stand-in through a proxy, and the model that only it serves. */
const channel = (name, proxy, { credentials = '', base = `https://localhost:${system.mock.tlsPort}/v1`, model = `mock-c5-${name}` } = {}) => `
[[provider]]
name = "${name}"
dialect = "openai"
base_url = "${base}"
[[provider.key]]
name = "main"
secret = "sk-upstream-${name}"
[[channel]]
name = "${name}"
provider = "${name}"
proxy = "${proxy}"
${credentials && `proxy_credentials = "${credentials}"`}
[[model]]
name = "${model}"
routes = ["${name}"]
max_output_tokens = 65536
[[model.price]]
${priceToml(PRICE)}
`

before(async () => {
  authority = new Authority('sluice e2e')
  const provider = authority.issue('provider', 'DNS:localhost')
  system = await System.start({
    mockArgs: ['--listen-tls', '127.0.0.1:0', '--cert', provider.certificate, '--cert-key', provider.key],
    config: { edge: `shards = 1\nca_file = "${authority.file}"`, timeouts: 'connect = "1s"' },
  })
  key = await system.customer('proxied')
})
after(async () => {
  await system?.stop()
  for (const child of children) await stop(child)
  for (const server of liars) server.close()
})

const client = () => openai.connect(system.url, key)

/** A stream and a whole answer through it, billed exactly; the stand-in saw the key of that channel. */
async function works(name) {
  await system.mock.mark()
  const seen = (await system.usage('--customer', 'proxied')).length
  let text = ''
  for await (const part of client().stream(`mock-c5-${name}`)) text += part
  assert.equal(text, ' word'.repeat(5))
  await client().whole(`mock-c5-${name}`)
  const records = await system.mock.records(2)
  for (const record of records) {
    assert.equal(record.credential, `bearer sk-upstream-${name}`)
    assert.doesNotMatch(record.head, /proxy/i, 'what is for the proxy stays in front of the tunnel')
  }
  const rows = (await system.usageOf('proxied', seen + 2)).slice(seen)
  assert.equal(records[1].connection, records[0].connection, 'the tunnel is used again')
  await proveExact(system, records, rows)
}

/** Fails at once, is free, and is recorded as the proxy's fault. */
async function fails(name, { error = 'proxy_failed', ms = 3000 } = {}) {
  const began = Date.now()
  await assert.rejects(client().whole(`mock-c5-${name}`), problem => problem.status === 502 || problem.status === 504)
  assert.ok(Date.now() - began < ms, `${Date.now() - began} ms`)
  const row = await until(async () => (await system.usage('--customer', 'proxied')).find(each => each.model === `mock-c5-${name}`), 'its row')
  assert.equal(Number(row.cost_usd), 0)
  assert.equal(row.error, error)
}

describe('real proxies', () => {
  test('CONNECT by tinyproxy, TLS with the provider inside', async () => {
    await system.apply(channel('open', `http://127.0.0.1:${await tinyproxy('open', '')}`))
    await works('open')
    assert.match(readFileSync(system.file('open.log'), 'utf8'), /CONNECT localhost:\d+ HTTP/)
  })

  test('CONNECT with credentials; wrong ones are told to the operator and to nobody else', async () => {
    const port = await tinyproxy('guarded', `BasicAuth sluice ${SECRET}`)
    await system.apply(channel('guarded', `http://127.0.0.1:${port}`, { credentials: `sluice:${SECRET}` }))
    await works('guarded')
    await system.apply(channel('stranger', `http://127.0.0.1:${port}`, { credentials: 'sluice:wrong' }))
    await fails('stranger')
    assert.match(readFileSync(system.file('edge.log'), 'utf8'), /stranger \(localhost\): proxy: the proxy (wants other credentials \(407\)|refused the connection)/)
  })

  test('CONNECT to a provider without TLS', async () => {
    await system.apply(channel('plain', `http://127.0.0.1:${await tinyproxy('plain', '')}`, { base: `http://127.0.0.1:${system.mock.port}/v1` }))
    await works('plain')
  })

  test('SOCKS5 by dante, which resolves the name; what its rules do not allow fails', async () => {
    const port = await dante()
    await system.apply(channel('dante', `socks5://127.0.0.1:${port}`))
    await works('dante')
    await system.apply(channel('ruled-out', `socks5://127.0.0.1:${port}`, { base: `http://127.0.0.1:${system.mock.port}/v1` }))
    await fails('ruled-out')
    assert.match(readFileSync(system.file('edge.log'), 'utf8'), /ruled-out .*rules do not allow it \(SOCKS5 reply 2\)/)
  })

  test('SOCKS5 with credentials by microsocks', async () => {
    const port = await microsocks()
    await system.apply(channel('login', `socks5://127.0.0.1:${port}`, { credentials: `sluice:${SECRET}` }))
    await works('login')
    await system.apply(channel('no-login', `socks5://127.0.0.1:${port}`))
    await fails('no-login')
    await system.apply(channel('bad-login', `socks5://127.0.0.1:${port}`, { credentials: 'sluice:other' }))
    await fails('bad-login')
  })
})

describe('proxies that lie', () => {
  const OK = 'HTTP/1.1 200 OK\r\n\r\n'
  const cases = {
    nobody: ['http', null],
    garbage: ['http', '\x16\x03\x01\x02\x00\x01\x00\x01'],
    endless: ['http', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}`],
    redirect: ['http', 'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n'],
    eager: ['http', `${OK}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}`],
    'not-socks': ['socks5', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    'short-reply': ['socks5', '\x05\x00', null],
    'odd-address': ['socks5', '\x05\x00', '\x05\x00\x00\x09abcdef'],
  }
  for (const [name, [scheme, ...answers]] of Object.entries(cases)) {
    test(name, async () => {
      await system.apply(channel(name, `${scheme}://127.0.0.1:${await liar(...answers)}`))
      await fails(name)
    })
  }

  test('one that says nothing is given up after the time to connect', async () => {
    await system.apply(channel('silent', `http://127.0.0.1:${await liar(undefined)}`))
    await fails('silent', { error: 'timed_out' })
  })

  test('one that is the provider itself: its certificate is asked for, not its word', async () => {
    // The tunnel leads to somebody with another certificate.
    const stranger = new Authority('somebody else').issue('localhost', 'DNS:localhost')
    const { createServer: secureServer } = await import('node:tls')
    const impostor = secureServer({ cert: readFileSync(stranger.certificate), key: readFileSync(stranger.key) }, socket => socket.end())
    impostor.on('tlsClientError', () => {})
    await new Promise(done => impostor.listen(0, '127.0.0.1', done))
    liars.push(impostor)
    const server = createServer(socket => {
      socket.on('error', () => {})
      socket.once('data', () => {
        socket.write(OK)
        const onward = connect(impostor.address().port, '127.0.0.1')
        onward.on('error', () => {})
        socket.pipe(onward).pipe(socket)
      })
    })
    await new Promise(done => server.listen(0, '127.0.0.1', done))
    liars.push(server)
    await system.apply(channel('impostor', `http://127.0.0.1:${server.address().port}`))
    await fails('impostor', { error: 'tls_failed' })
  })
})

test('another channel serves where the proxy of the first fails', async () => {
  const dead = await freePort()
  const good = `https://localhost:${system.mock.tlsPort}/v1`
  await system.apply(`${channel('dead-proxy', `http://127.0.0.1:${dead}`, { model: 'mock-unused' })}
[[provider]]
name = "direct"
dialect = "openai"
base_url = "${good}"
[[provider.key]]
name = "main"
secret = "sk-upstream-direct"
[[channel]]
name = "direct"
provider = "direct"
[[model]]
name = "mock-c5-second"
routes = ["dead-proxy", "direct"]
[[model.price]]
${priceToml(PRICE)}`)
  await system.mock.mark()
  assert.equal((await client().whole('mock-c5-second')).text, ' word'.repeat(5))
  const [record] = await system.mock.records(1)
  assert.equal(record.credential, 'bearer sk-upstream-direct')
})

test('an address that is not allowed is refused when it is set, and credentials are nowhere to be read', async () => {
  await assert.rejects(system.apply(channel('inside', 'socks5://10.1.2.3:1080')), /not a public address and allow_private does not list it/)
  await sleep(100)
  for (const file of ['edge.log', 'reconciler.log', 'ledger.db', 'ledger.db-wal']) {
    let bytes = ''
    try { bytes = readFileSync(system.file(file), 'latin1') } catch { continue }
    assert.ok(!bytes.includes(SECRET), `${file} holds the proxy's password`)
  }
})
