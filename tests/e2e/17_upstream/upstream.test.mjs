// Providers that answer wrongly, byte by byte (U01 to U22): what the client sees, what is charged, whether the
// connection is used again. Default: 502 and nothing charged where nothing was delivered; an answer that is visibly
// not whole and a bill for what was seen where something was; never another request on that connection.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import tls from 'node:tls'
import { gzipSync, brotliCompressSync } from 'node:zlib'
import { parseAnswers } from '../lib/answers.mjs'
import { Authority } from '../lib/certificates.mjs'
import { rssKib } from '../lib/load.mjs'
import { long } from '../lib/paths.mjs'
import { cost, paid, PRICE, priceToml } from '../lib/price.mjs'
import { sleep, until } from '../lib/processes.mjs'
import { chat, open, post } from '../lib/raw.mjs'
import { Stub } from '../lib/stub.mjs'
import { System } from '../lib/system.mjs'

const USAGE = { input: 5, output: 2 }
const ANSWER = JSON.stringify({
  id: 'x', object: 'chat.completion', choices: [{ index: 0, message: { role: 'assistant', content: 'Hello you' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: USAGE.input, completion_tokens: USAGE.output, total_tokens: 7 },
})
const JSON_TYPE = 'Content-Type: application/json\r\n'
const whole = (body = ANSWER, more = '') => `HTTP/1.1 200 OK\r\n${JSON_TYPE}${more}Content-Length: ${body.length}\r\n\r\n${body}`
const chunk = text => `${text.length.toString(16)}\r\n${text}\r\n`
const event = data => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
const delta = content => event({ choices: [{ index: 0, delta: { content } }] })
const SSE_HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'
const FINAL = event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }) +
  event({ choices: [], usage: { prompt_tokens: USAGE.input, completion_tokens: USAGE.output } }) + event('[DONE]')

let system, authority, stub, secure, key
let context  // of the TLS stub's next connection

const channel = (name, url) => `
[[provider]]
name = "${name}"
dialect = "openai"
base_url = "${url}"
[[provider.key]]
name = "main"
secret = "sk-${name}"
[[channel]]
name = "${name}"
provider = "${name}"
`
const model = name => `
[[model]]
name = "${name}"
routes = ["${name}"]
max_output_tokens = 65536
[[model.price]]
${priceToml(PRICE)}
`

before(async () => {
  authority = new Authority('sluice upstream')
  context = contextOf(authority.issue('provider', 'DNS:localhost'))
  stub = await Stub.start()
  secure = await Stub.start({ secure: () => context })
  system = await System.start({
    models: ['mock-c5'],
    config: { edge: `shards = 1\nca_file = "${authority.file}"`, timeouts: 'connect = "2s"\nfirst_byte_whole = "5s"\nfirst_byte_stream = "5s"' },
    channels: channel('plain', `http://127.0.0.1:${stub.port}/v1`) + channel('secure', `https://localhost:${secure.port}/v1`),
  })
  await system.apply(model('plain') + model('secure'))
  key = await system.customer('u', { credit: '1000' })
})
after(async () => {
  await system?.stop()
  stub?.stop()
  secure?.stop()
})

function contextOf({ certificate, key: file }, options = {}) {
  return tls.createSecureContext({ cert: readFileSync(certificate), key: readFileSync(file), ...options })
}

/** Asks once and gives what came back: the answers that are whole, and what is left over where one is not. */
async function ask(name, { stream = false, padding = '', ms = 8000 } = {}) {
  const before = await system.wallet('u')
  const socket = await open(system.port)
  let closed = false
  socket.ended.then(() => { closed = true })
  socket.write(post('/v1/chat/completions', chat(name, { stream, padding }), { key }))
  await until(() => closed || parseAnswers(socket.bytes).answers.length > 0, 'an answer or the end', ms, 2)
  if (!closed) await sleep(5)
  const { answers, rest } = parseAnswers(socket.bytes)
  assert.ok(answers.length <= 1, socket.bytes)
  socket.destroy()
  const wallet = await until(async () => {
    const seen = await system.wallet('u')
    return seen.held === 0n && seen
  }, 'the hold to be closed')
  return { status: answers[0]?.status ?? 0, answer: answers[0], cut: rest, closed, charged: wallet.charged + wallet.excess - before.charged - before.excess }
}

const gone = connection => until(() => connection.closed, 'the provider\'s connection to be closed', 2000, 2)

/** The default verdict where nothing was delivered. */
async function refused(at, options = {}) {
  const seen = await ask(at === secure ? 'secure' : 'plain', options)
  assert.equal(seen.status, 502, JSON.stringify([seen.status, seen.cut.slice(0, 200), seen.answer?.body]))
  assert.equal(seen.charged, 0n)
  assert.equal(typeof JSON.parse(seen.answer.body).error.message, 'string')
  if (at.last) await gone(at.last)
  return seen
}

/** The answer is right and charged exactly; and whether the next one comes on the same connection. */
async function accepted({ status = 200, body = ANSWER, kept, at = stub, charged = cost(USAGE) } = {}) {
  const seen = await ask(at === secure ? 'secure' : 'plain')
  assert.equal(seen.status, status, seen.cut)
  assert.equal(seen.answer.body, body)
  assert.equal(seen.cut, '')
  if (charged !== null) assert.equal(seen.charged, charged)
  if (kept === true) {
    await sleep(20)
    assert.equal(at.last.closed, false, 'kept')
  }
  if (kept === false) await gone(at.last)
  return seen
}

/** Begins anew: the next request comes on a new connection, since the gateway has closed its end of the others. */
async function fresh(at = stub) {
  for (const { socket } of at.connections) {
    socket.resume()
    socket.end()
  }
  await until(() => at.connections.every(({ closed }) => closed), 'the gateway to let go', 2000, 2)
  at.connections = []
  at.requests = 0
  at.greet = () => {}
  at.wholeRequests = true
}

/** One test for each list of bytes that the provider answers with. */
function refusals(title, cases) {
  for (const [name, bytes] of Object.entries(cases)) {
    test(`${title}: ${name}`, async () => {
      for (const stream of [false, true]) {
        await fresh()
        stub.play = socket => socket.write(bytes, 'latin1')
        const seen = await refused(stub, { stream })
        assert.doesNotMatch(JSON.stringify([...seen.answer.head]) + seen.answer.body, /injected/i)
        assert.equal(stub.requests, 1, 'asked once')
      }
    })
  }
}

test('the control: a good answer is relayed, charged and its connection used again', async () => {
  stub.play = socket => socket.write(whole())
  await accepted({ kept: true })
  await accepted({ kept: true })
  assert.equal(stub.connections.length, 1)
  assert.match(stub.last.requests[0].head, /\r\naccept-encoding: identity\r\n/i)
})

refusals('U01', { 'length and chunked': `HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n` })

describe('U02, U03: an answer that ends early is never whole to the client', () => {
  const HALF = ANSWER.slice(0, 90)
  const cases = {
    'half of its length, then FIN': `HTTP/1.1 200 OK\r\n${JSON_TYPE}Content-Length: ${ANSWER.length}\r\n\r\n${HALF}`,
    'inside a chunk': `HTTP/1.1 200 OK\r\n${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n${ANSWER.length.toString(16)}\r\n${HALF}`,
    'between chunks': `HTTP/1.1 200 OK\r\n${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n${chunk(HALF)}`,
    'before the last chunk': `HTTP/1.1 200 OK\r\n${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n${chunk(ANSWER)}`,
    'inside the last chunk': `HTTP/1.1 200 OK\r\n${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n${chunk(ANSWER)}0\r\n`,
  }
  for (const [name, bytes] of Object.entries(cases)) {
    for (const way of ['end', 'resetAndDestroy']) {
      test(`${name}, by ${way === 'end' ? 'FIN' : 'RST'}`, async () => {
        await fresh()
        const rows = (await system.usage('--customer', 'u')).length
        stub.play = async socket => {
          socket.write(bytes)
          await sleep(30)
          socket[way]()
        }
        const seen = await ask('plain')
        assert.equal(seen.status, 0, 'no whole answer')
        assert.ok(seen.closed && seen.cut.startsWith('HTTP/1.1 200 '), seen.cut)
        assert.equal(stub.requests, 1)
        const row = (await system.usageOf('u', rows + 1)).at(-1)
        const reported = bytes.includes('"usage"')
        assert.equal(seen.charged, paid(row))
        assert.equal(seen.charged, cost({ input: reported ? USAGE.input : row.input_estimate, output: row.output }))
      })
    }
  }

  const STREAMS = {
    'a stream cut inside a chunk': SSE_HEAD + chunk(delta('Hello')) + '50\r\ndata: {"cho',
    'a stream cut between events': SSE_HEAD + chunk(delta('Hello')) + chunk(delta(' you')),
    'a stream cut before its last chunk, its end seen': SSE_HEAD + chunk(delta('Hello') + FINAL),
    'a stream with a bad chunk size': SSE_HEAD + chunk(delta('Hello')) + '+5\r\nhello\r\n0\r\n\r\n',
    'a stream whose size line ends by LF': SSE_HEAD + chunk(delta('Hello')) + '5\nhello\r\n0\r\n\r\n',
    'a stream with more than its chunk': SSE_HEAD + `${delta('Hello').length.toString(16)}\r\n${delta('Hello')}XX\r\n0\r\n\r\n`,
    'a stream that ends without its format\'s end': SSE_HEAD + chunk(delta('Hello')) + '0\r\n\r\n',
  }
  for (const [name, bytes] of Object.entries(STREAMS)) {
    test(name, async () => {
      await fresh()
      const rows = (await system.usage('--customer', 'u')).length
      stub.play = async socket => {
        // The first event by itself: it is delivered before the rest is wrong.
        const first = bytes.indexOf('}\n\n') + 3
        socket.write(bytes.slice(0, first))
        await sleep(20)
        socket.write(bytes.slice(first))
        await sleep(20)
        socket.end()
      }
      const seen = await ask('plain', { stream: true })
      assert.equal(seen.status, 0, 'never a clean end')
      assert.ok(seen.closed)
      assert.match(seen.cut, /Hello/)
      assert.doesNotMatch(seen.cut, /\r\n0\r\n/)
      const [, error] = /data: (\{"error".*\})\n\n/.exec(seen.cut) ?? []
      assert.equal(typeof JSON.parse(error ?? '{}').error?.message, 'string', seen.cut)
      await gone(stub.last)
      const row = (await system.usageOf('u', rows + 1)).at(-1)
      assert.equal(seen.charged, paid(row))
      assert.ok(seen.charged > 0n && row.output >= 1, 'what was seen is charged')
    })
  }
})

describe('U04, U05: bytes that nobody asked for', () => {
  const EVIL = whole('{"evil":"injected"}')
  for (const [name, first] of Object.entries({ 'an answer': whole(), 'chunks': `HTTP/1.1 200 OK\r\n${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n${chunk(ANSWER)}0\r\n\r\n` })) {
    for (const extra of ['X', EVIL]) {
      test(`${extra.length} bytes behind ${name}: delivered as far as it goes, the connection is not used again`, async () => {
        await fresh()
        stub.play = socket => socket.write(first + extra)
        await accepted({ kept: false })
        stub.play = socket => socket.write(whole())
        await accepted({})
        assert.equal(stub.connections.length, 2)
      })
    }
  }

  test('behind an error', async () => {
    await fresh()
    const body = '{"error":{"message":"no such thing","type":"invalid_request_error"}}'
    stub.play = socket => socket.write(`HTTP/1.1 400 Bad Request\r\n${JSON_TYPE}Content-Length: ${body.length}\r\n\r\n${body}${EVIL}`)
    await accepted({ status: 400, body, charged: 0n, kept: false })
  })

  test('an answer on an idle connection: dropped before it is used', async () => {
    await fresh()
    stub.play = socket => socket.write(whole())
    await accepted({ kept: true })
    const [idle] = stub.connections
    idle.socket.write(EVIL)
    await gone(idle)
    await accepted({ kept: true })
    assert.equal(stub.connections.length, 2)
  })
})

describe('U06, U07: interim answers and upgrades', () => {
  const interim = n => Array.from({ length: n }, (_, i) => (i === 0 ? 'HTTP/1.1 100 Continue\r\n\r\n' : 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')).join('')
  test('eight are skipped', async () => {
    await fresh()
    stub.play = socket => socket.write(interim(8) + whole())
    await accepted({ kept: true })
  })
  refusals('U06', { 'nine are too many': interim(9) + whole() })
  refusals('U07', { '101 that nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\ninjected' })
  test('U07: 200 with Upgrade is a plain answer', async () => {
    await fresh()
    stub.play = socket => socket.write(whole(ANSWER, 'Upgrade: h2c\r\nConnection: upgrade\r\n'))
    const { answer } = await accepted({})
    assert.ok(!answer.head.has('upgrade'))
  })
})

describe('U08: a body where there is none', () => {
  for (const status of [204, 304]) {
    test(String(status), async () => {
      await fresh()
      stub.play = socket => socket.write(`HTTP/1.1 ${status} Nothing\r\nContent-Length: 8\r\n\r\ninjected`)
      const seen = await ask('plain')
      assert.doesNotMatch(seen.cut + seen.answer?.body, /injected/)
      assert.equal(seen.status, status)
      await gone(stub.last)
    })
  }
})

const withField = field => `HTTP/1.1 200 OK\r\n${JSON_TYPE}${field}\r\nContent-Length: ${ANSWER.length}\r\n\r\n${ANSWER}`
refusals('U09', {
  'bare CR in a value': withField('Openai-Version: a\rSet-Cookie: injected'),
  'bare LF in a value': withField('Openai-Version: a\nSet-Cookie: injected'),
  'NUL in a value': withField('Openai-Version: a\0injected'),
  'a folded line': withField('Openai-Version: a\r\n Set-Cookie: injected'),
  'a space before the colon': withField('Openai-Version : injected'),
})
refusals('U10', Object.fromEntries(['HTTP/1.1  200 OK', 'HTTP/1.1 20 OK', 'HTTP/1.11 200 OK', 'HTTP/5.6 200 OK', 'HTTP/1.1 2000 OK', 'HTTX/1.1 200 OK', 'HTTP/1.1 099 OK', '200 OK']
  .map(line => [JSON.stringify(line), whole().replace('HTTP/1.1 200 OK', line)])))
refusals('U10', { 'status line with LF alone': whole().replace('OK\r\n', 'OK\n') })
refusals('U11', {
  'a head above 64 KiB': withField(`X-Long: ${'x'.repeat(70_000)}`),
  'more than 128 fields': withField(Array.from({ length: 130 }, (_, i) => `X-${i}: y`).join('\r\n')),
})

const chunked = body => `HTTP/1.1 200 OK\r\n${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n${body}`
refusals('U12', {
  'a chunk of 2^64 - 1': chunked(`FFFFFFFFFFFFFFFF\r\n${ANSWER}\r\n0\r\n\r\n`),
  'an extension of 64 KiB': chunked(`5;e=${'x'.repeat(65_536)}\r\n${ANSWER}\r\n0\r\n\r\n`),
})

test(`U12: ${long ? '10^6' : '2 * 10^5'} chunks of one byte are relayed, at a bounded price`, async t => {
  await fresh()
  const size = long ? 1_000_000 : 200_000
  const body = JSON.stringify({ choices: [{ message: { content: 'x'.repeat(size) }, finish_reason: 'stop' }], usage: { prompt_tokens: 5, completion_tokens: 2 } })
  const bytes = Buffer.from(chunked(Array.from(body, chunk).join('') + '0\r\n\r\n'))
  const cpu = () => Number(readFileSync(`/proc/${system.shards()[0]}/schedstat`, 'utf8').split(' ')[0])
  stub.play = socket => socket.write(bytes)
  const began = cpu()
  const seen = await ask('plain', { ms: 20_000 })
  const spent = cpu() - began
  assert.equal(seen.answer?.body, body)
  assert.equal(seen.charged, cost(USAGE))
  t.diagnostic(`${(spent / body.length).toFixed(0)} ns of CPU a chunk`)
  assert.ok(spent / body.length < 2000, `${spent} ns for ${body.length} chunks`)
})

refusals('U13', {
  'gzip, chunked': `HTTP/1.1 200 OK\r\n${JSON_TYPE}Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  'chunked, identity': `HTTP/1.1 200 OK\r\n${JSON_TYPE}Transfer-Encoding: chunked, identity\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  'two of them': `HTTP/1.1 200 OK\r\n${JSON_TYPE}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
})
refusals('U14', Object.fromEntries([['two lengths', '5\r\nContent-Length: 6'], ['hexadecimal', '0x5'], ['a sign', '+5'], ['nothing', ''], ['a list', '5, 5'], ['too long for 64 bits', '18446744073709551621']]
  .map(([name, value]) => [name, `HTTP/1.1 200 OK\r\n${JSON_TYPE}Content-Length: ${value}\r\n\r\nhello`])))

describe('U15: an answer that ends with its connection', () => {
  const bytes = `HTTP/1.1 200 OK\r\n${JSON_TYPE}\r\n${ANSWER}`
  test('by FIN: whole, and the connection is not used again', async () => {
    await fresh()
    stub.play = socket => socket.end(bytes)
    await accepted({ kept: false })
  })
  test('by RST: cut', async () => {
    await fresh()
    stub.play = async socket => {
      socket.write(bytes)
      await sleep(30)
      socket.resetAndDestroy()
    }
    const seen = await ask('plain')
    assert.equal(seen.status, 0)
    assert.ok(seen.closed)
  })
  test('by close_notify over TLS: whole', async () => {
    await fresh(secure)
    secure.play = socket => socket.end(bytes)
    await accepted({ at: secure, kept: false })
  })
  test('by FIN over TLS, without close_notify: cut', async () => {
    await fresh(secure)
    secure.play = async socket => {
      socket.write(bytes)
      await sleep(30)
      socket.raw.end()
    }
    const seen = await ask('secure')
    assert.equal(seen.status, 0)
    assert.ok(seen.closed)
  })
})

describe('U16: a final answer before the request is there', () => {
  for (const status of [400, 413, 500]) {
    test(String(status), async () => {
      await fresh()
      stub.wholeRequests = false
      const body = '{"error":{"message":"enough","type":"invalid_request_error"}}'
      stub.play = socket => socket.write(`HTTP/1.1 ${status} No\r\n${JSON_TYPE}Content-Length: ${body.length}\r\n\r\n${body}`)
      const seen = await ask('plain', { padding: 'x'.repeat(24 << 20), ms: 20_000 })
      assert.ok(seen.status === status || (status === 500 && seen.status === 502), String(seen.status))
      assert.equal(seen.charged, 0n)
      stub.last.socket.resume()
      await gone(stub.last)
    })
  }
})

test('U17: plain text before the handshake', async () => {
  await fresh(secure)
  secure.greet = raw => { raw.write(whole('{"evil":"injected"}')) }
  const seen = await refused(secure)
  assert.doesNotMatch(seen.answer.body, /injected/)
  secure.greet = () => {}
})

describe('U18: resets', () => {
  test('after the request: asked once', async () => {
    await fresh()
    stub.play = socket => socket.resetAndDestroy()
    await refused(stub)
    await refused(stub, { stream: true })
    assert.equal(stub.requests, 2)
  })
  test('of a used connection, with nothing answered: a POST is not sent again', async () => {
    await fresh()
    stub.play = socket => socket.write(whole())
    await accepted({ kept: true })
    stub.play = socket => socket.resetAndDestroy()
    await refused(stub)
    assert.equal(stub.connections.length, 1)
    assert.equal(stub.requests, 2)
  })
})

describe('U19: a coding that nobody asked for', () => {
  const coded = (coding, body) => Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${JSON_TYPE}Content-Encoding: ${coding}\r\nContent-Length: ${body.length}\r\n\r\n`), body])
  for (const [coding, body] of [['gzip', gzipSync(ANSWER)], ['br', brotliCompressSync(ANSWER)], ['gzip', gzipSync(Buffer.alloc(64 << 20))]]) {
    test(`${coding}, ${body.length} bytes`, async () => {
      await fresh()
      stub.play = socket => socket.write(coded(coding, body))
      const memory = () => rssKib(system.shards()[0])
      const began = memory()
      await refused(stub)
      await refused(stub, { stream: true })
      assert.ok(memory() - began <= 1024, `${memory() - began} KiB more`)
    })
  }
})

describe('U20, U21: certificates and versions', () => {
  const good = () => authority.issue('good', 'DNS:localhost')
  const lax = { ciphers: 'DEFAULT@SECLEVEL=0' }
  const cases = {
    'expired': () => contextOf(authority.issue('expired', 'DNS:localhost', { options: ['-days', '-1'] })),
    'for another name': () => contextOf(authority.issue('other', 'DNS:other.test')),
    'for a name below': () => contextOf(authority.issue('below', 'DNS:*.localhost')),
    'for a common name only': () => contextOf(authority.issue('common', null)),
    'signed with SHA-1': () => contextOf(authority.issue('sha1', 'DNS:localhost', { options: ['-days', '2', '-sha1'] }), lax),
    'of an unknown authority': () => contextOf(new Authority('stranger').issue('strange', 'DNS:localhost')),
    'signed by a leaf': () => {
      authority.issue('leaf', null)
      return contextOf(authority.issue('by-leaf', 'DNS:localhost', { issuer: 'leaf' }))
    },
    'TLS 1.1': () => contextOf(good(), { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ...lax }),
    'TLS 1.2 without forward secrecy': () => contextOf(rsa(), { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' }),
    'TLS 1.2 with CBC': () => contextOf(good(), { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA@SECLEVEL=0' }),
  }
  const rsa = () => {
    authority.openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'rsa.key', '-out', 'rsa.csr', '-subj', '/CN=rsa')
    authority.issue('names', 'DNS:localhost')
    authority.openssl('x509', '-req', '-in', 'rsa.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names.ext', '-out', 'rsa.pem')
    return { certificate: `${authority.directory}/rsa.pem`, key: `${authority.directory}/rsa.key` }
  }
  for (const [name, make] of Object.entries(cases)) {
    test(`${name}: refused, and nothing is sent`, async () => {
      await fresh(secure)
      context = make()
      secure.play = socket => socket.write(whole())
      await refused(secure)
      assert.equal(secure.requests, 0)
    })
  }
  test('the control: a good one', async () => {
    await fresh(secure)
    context = contextOf(good())
    secure.play = socket => socket.write(whole())
    await accepted({ at: secure, kept: true })
  })
  test('a renegotiation is not answered', async () => {
    await fresh(secure)
    context = contextOf(good(), { maxVersion: 'TLSv1.2' })
    let renegotiated = false
    secure.play = socket => {
      socket.write(whole().slice(0, -10))
      socket.renegotiate({}, error => {
        renegotiated = !error
        socket.write(whole().slice(-10))
      })
    }
    const seen = await ask('secure')
    assert.equal(renegotiated, false)
    assert.equal(seen.status, 0)
  })
})

test('U22: a redirect is never followed', async () => {
  await fresh()
  let visits = 0
  const trap = createServer(socket => { visits += 1; socket.destroy() })
  await new Promise(done => trap.listen(0, '127.0.0.1', done))
  for (const status of [301, 302, 307, 308]) {
    stub.play = socket => socket.write(`HTTP/1.1 ${status} Moved\r\nLocation: http://127.0.0.1:${trap.address().port}/latest/meta-data\r\nContent-Length: 2\r\n\r\n{}`)
    const seen = await ask('plain')
    assert.ok([status, 502].includes(seen.status), String(seen.status))
    assert.ok(!seen.answer.head.has('location'))
    assert.equal(seen.charged, 0n)
  }
  await sleep(50)
  assert.equal(visits, 0)
  trap.close()
})

test('after all of it the books are right and the shard is the one that began', async () => {
  await system.check()
  assert.equal((await system.wallet('u')).held, 0n)
  assert.doesNotMatch(system.logs(), /assertion failed|ended \(signal|Sanitizer/)
})
