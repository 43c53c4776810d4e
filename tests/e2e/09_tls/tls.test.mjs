// TLS on both sides: the edge listens with a certificate, its providers are https with a private authority.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { connect, createServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import tls from 'node:tls'
import { Authority } from '../lib/certificates.mjs'
import { Mock } from '../lib/mock.mjs'
import { PRICE, priceToml } from '../lib/price.mjs'
import { freePort, sleep, until } from '../lib/processes.mjs'
import { proveExact } from '../lib/proof.mjs'
import { chat, open } from '../lib/raw.mjs'
import { sdks } from '../lib/sdks.mjs'
import { System } from '../lib/system.mjs'

const SILENT = 400
const MODELS = ['mock-c5', 'mock-c40-g5', 'mock-c600-w50-gu500', 'mock-c3-bulk1000000', 'mock-c3-eof', 'mock-c9-cut4']
const openai = sdks.find(sdk => sdk.name === 'openai')

let system, authority, port
const impostors = []  // stand-ins whose certificates must not do

const tlsArgs = ({ certificate, key }) => ['--listen-tls', '127.0.0.1:0', '--cert', certificate, '--cert-key', key]

/** One provider with one channel, and the models that only it serves. */
const provider = (name, dialect, at, models) => `
[[provider]]
name = "${name}"
dialect = "${dialect}"
base_url = "${at}"
[[provider.key]]
name = "main"
secret = "sk-upstream"
[[channel]]
name = "${name}"
provider = "${name}"
${models.map(model => `
[[model]]
name = "${model}"
routes = ["${name}"]
max_output_tokens = 65536
[[model.price]]
${priceToml(PRICE)}`).join('')}
`

before(async () => {
  authority = new Authority('sluice e2e')
  tls.setDefaultCACertificates([authority.pem])
  const own = authority.issue('edge', 'DNS:localhost,IP:127.0.0.1')
  port = await freePort()
  system = await System.start({
    mockArgs: tlsArgs(authority.issue('provider', 'DNS:localhost')),
    config: {
      edge: `shards = 1\nca_file = "${authority.file}"`,
      listener: `[[edge.listener]]\naddress = "127.0.0.1:${port}"\ncertificate_file = "${own.certificate}"\nkey_file = "${own.key}"`,
      limits: 'tls_handshake_timeout = "2s"',
    },
  })
  const stranger = new Authority('somebody else')
  for (const [name, certificate] of [['wrong-name', authority.issue('other', 'DNS:other.test')],
    ['unknown-authority', stranger.issue('localhost', 'DNS:localhost')]]) {
    const mock = await Mock.start({ args: tlsArgs(certificate) })
    impostors.push({ name, mock })
  }
  await system.apply([
    provider('secure', 'openai', `https://localhost:${system.mock.tlsPort}/v1`, MODELS),
    ...impostors.map(({ name, mock }) => provider(name, 'openai', `https://localhost:${mock.tlsPort}/v1`, [`mock-${name}`])),
  ].join(''))
})
after(async () => {
  await system?.stop()
  for (const { mock } of impostors) await mock.stop()
})

const url = () => `https://localhost:${port}`
const edgeLog = () => readFileSync(system.file('edge.log'), 'utf8')

/** One request over https, without an agent on a connection of its own: status, body, and the socket. */
function ask(key, body, { agent = false, options = {} } = {}) {
  return new Promise((resolve, reject) => {
    const asked = request({
      host: '127.0.0.1', servername: 'localhost', port, path: '/v1/chat/completions', method: 'POST', agent,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      ...options,
    }, answer => {
      const { socket } = answer
      const parts = []
      answer.on('data', part => parts.push(part))
      answer.on('error', reject)
      answer.on('end', () => resolve({ status: answer.statusCode, body: Buffer.concat(parts).toString('utf8'), socket }))
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

/** The shard is the one that was there before, and it serves. */
async function lives(shards) {
  assert.deepEqual(system.shards(), shards, 'no shard ended')
  const key = await system.customer(`alive-${Date.now()}`)
  assert.equal((await ask(key, chat('mock-c5'))).status, 200)
  await system.check()
}

describe('the openai SDK through both', () => {
  test('streams, and is charged what was claimed', async () => {
    const key = await system.customer('stream')
    await system.mock.mark()
    const client = openai.connect(url(), key)
    for (const [model, words] of [['mock-c40-g5', 40], ['mock-c600-w50-gu500', 30_000]]) {
      let text = ''
      for await (const part of client.stream(model)) text += part
      assert.equal(text, ' word'.repeat(words))
    }
    await proveExact(system, await system.mock.records(2), await system.usageOf('stream', 2))
  })

  test('answers whole, also when the provider ends its answer by closing', async () => {
    const key = await system.customer('whole')
    await system.mock.mark()
    const client = openai.connect(url(), key)
    for (const [model, words] of [['mock-c5', 5], ['mock-c3-eof', 3]]) {
      assert.equal((await client.whole(model)).text, ' word'.repeat(words))
    }
    await proveExact(system, await system.mock.records(2), await system.usageOf('whole', 2))
  })

  test('sixteen streams at once', async () => {
    const key = await system.customer('many')
    await system.mock.mark()
    const client = openai.connect(url(), key)
    await Promise.all(Array.from({ length: 16 }, async () => {
      let text = ''
      for await (const part of client.stream('mock-c40-g5')) text += part
      assert.equal(text, ' word'.repeat(40))
    }))
    await proveExact(system, await system.mock.records(16), await system.usageOf('many', 16))
  })

  test('a stream that its provider cuts is an error', async () => {
    const key = await system.customer('cut')
    const client = openai.connect(url(), key)
    await assert.rejects(async () => { for await (const _ of client.stream('mock-c9-cut4')); })
    await system.check()
  })
})

for (const version of ['TLSv1.2', 'TLSv1.3']) {
  describe(version, () => {
    const pinned = { keepAlive: true, maxSockets: 1, minVersion: version, maxVersion: version }

    test('fifty requests on one connection', async () => {
      const customer = `fifty-${version}`
      const key = await system.customer(customer)
      await system.mock.mark()
      const agent = new Agent(pinned)
      const sockets = new Set()
      for (let i = 0; i < 50; i += 1) {
        const answer = await ask(key, chat('mock-c5'), { agent })
        assert.equal(answer.status, 200)
        assert.match(answer.body, /( word){5}/)
        sockets.add(answer.socket)
      }
      assert.equal(sockets.size, 1)
      assert.equal([...sockets][0].getProtocol(), version)
      agent.destroy()
      await proveExact(system, await system.mock.records(50), await system.usageOf(customer, 50))
    })

    test('a megabyte up, a megabyte down, then small again', async () => {
      const customer = `big-${version}`
      const key = await system.customer(customer)
      await system.mock.mark()
      const agent = new Agent(pinned)
      const messages = [{ role: 'user', content: 'x'.repeat(1_000_000) }]
      for (const body of [chat('mock-c5'), chat('mock-c3-bulk1000000', { messages }), chat('mock-c5')]) {
        const answer = await ask(key, body, { agent })
        assert.equal(answer.status, 200)
        assert.ok(JSON.parse(answer.body).usage.prompt_tokens > 0)
        if (body.length > 1000) assert.ok(answer.body.length > 1_000_000)
      }
      agent.destroy()
      const records = await system.mock.records(3)
      assert.equal(records[1].body_bytes > 1_000_000, true)
      await proveExact(system, records, await system.usageOf(customer, 3))
    })
  })
}

test('a client whose bytes come one by one', async () => {
  const key = await system.customer('slow')
  const shards = system.shards()
  const relay = createServer(near => {
    const far = connect({ port, host: '127.0.0.1', noDelay: true })
    near.on('data', async bytes => {
      near.pause()
      for (const byte of bytes) {
        far.write(Buffer.of(byte))
        await new Promise(setImmediate)
      }
      near.resume()
    })
    far.on('data', bytes => near.write(bytes))
    for (const [one, other] of [[near, far], [far, near]]) {
      one.on('close', () => other.destroy())
      one.on('error', () => {})
    }
  })
  await new Promise(done => relay.listen(0, '127.0.0.1', done))
  const answer = await ask(key, chat('mock-c5'), { options: { port: relay.address().port } })
  assert.equal(answer.status, 200)
  relay.close()
  await lives(shards)
})

describe('clients that are refused', () => {
  test('TLS 1.1', async () => {
    const shards = system.shards()
    const error = await new Promise((resolve, reject) => {
      const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1',
        ciphers: 'DEFAULT@SECLEVEL=0' }, () => reject(new Error('TLS 1.1 was accepted')))
      socket.on('error', resolve)
    })
    assert.match(error.code, /ALERT_PROTOCOL_VERSION/, 'told why, by an alert')
    await lives(shards)
  })

  test('plain HTTP, and bytes of no protocol at all', async () => {
    const shards = system.shards()
    for (const bytes of ['GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n', '\0'.repeat(100), 'x'.repeat(100_000),
      '\x16\x03\x01\xff\xff' + 'y'.repeat(70_000)]) {
      const socket = await open(port)
      socket.write(bytes, 'latin1')
      const ended = await Promise.race([socket.ended.then(() => true), sleep(3000)])
      assert.ok(ended, 'the connection ends')
      assert.ok(!socket.bytes.includes('HTTP/'), 'and nothing is said in clear')
    }
    await lives(shards)
  })

  test('one that goes away in the middle of its handshake, or without a word', async () => {
    const shards = system.shards()
    for (const bytes of ['', '\x16', '\x16\x03\x01\x02\x00\x01']) {
      const socket = await open(port)
      socket.write(bytes, 'latin1')
      await sleep(20)
      socket.destroy()
    }
    await lives(shards)
  })

  test('one that ends without close_notify is no bad request', async () => {
    const errors = async () => Number(/^sluice_protocol_errors_total(?:\{[^}]*\})? (\d+)/m.exec(
      await (await fetch(`http://127.0.0.1:${system.metricsPort}/metrics`)).text())?.[1])
    const before = await errors()
    assert.ok(Number.isFinite(before))
    const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost' })
    await new Promise(done => socket.once('secureConnect', done))
    await sleep(50)
    socket.destroy()
    await sleep(200)
    assert.equal(await errors(), before)
  })

  test('those that say nothing, or half a word, hold up nobody', async () => {
    const shards = system.shards()
    const key = await system.customer('patient')
    const silent = await Promise.all(Array.from({ length: SILENT }, () => open(port)))
    silent.forEach((socket, at) => { if (at % 2) socket.write('\x16\x03\x01\x02\x00\x01\x00\x01\xfc'.slice(0, 1 + at % 9), 'latin1') })
    let ended = 0
    for (const socket of silent) socket.ended.then(() => { ended += 1 })
    for (let i = 0; i < 5; i += 1) assert.equal((await ask(key, chat('mock-c5'))).status, 200)
    assert.equal(ended, 0, 'it did not wait for the time-out of the others')
    await Promise.all(silent.map(socket => socket.ended))
    await lives(shards)
  })
})

describe('providers that are refused', () => {
  for (const [name, why] of [['wrong-name', 'certificate is for another name'],
    ['unknown-authority', 'certificate is not signed by a trusted authority']]) {
    test(`${name}: costs nothing, and the operator is told once`, async () => {
      const key = await system.customer(name)
      const client = openai.connect(url(), key)
      for (let i = 0; i < 5; i += 1) {
        await assert.rejects(client.whole(`mock-${name}`), openai.errors.server)
        await assert.rejects(async () => { for await (const _ of client.stream(`mock-${name}`)); }, openai.errors.server)
      }
      const wallet = await until(async () => {
        const seen = await system.wallet(name)
        return seen.held === 0n && seen
      }, 'holds to be closed')
      assert.equal(wallet.charged, 0n)
      const { mock } = impostors.find(one => one.name === name)
      assert.deepEqual((await mock.recorder()).records, [], 'nothing was sent to it')
      const lines = edgeLog().split('\n').filter(line => line.includes(`${name} (localhost): TLS:`))
      assert.equal(lines.length, 1, lines.join('\n'))
      assert.ok(lines[0].includes(why), lines[0])
      await system.check()
    })
  }
})

test('no shard has ended in all this', () => {
  assert.doesNotMatch(edgeLog(), /assertion failed|ended \(signal|Sanitizer/)
})
