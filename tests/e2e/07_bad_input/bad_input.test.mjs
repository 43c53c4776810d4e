// Input that no good client sends: one clear answer in the caller's format, nothing reserved, nothing asked.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { paid } from '../lib/price.mjs'
import { sleep, until } from '../lib/processes.mjs'
import { chat, exchange, open, post, statusOf } from '../lib/raw.mjs'
import { System } from '../lib/system.mjs'

const PATHS = {
  openai: ['/v1/chat/completions', chat('mock-c5')],
  responses: ['/v1/responses', JSON.stringify({ model: 'mock-c5', input: 'hello' })],
  claude: ['/v1/messages', chat('mock-c5', { max_tokens: 100 })],
  gemini: ['/v1beta/models/mock-c5:generateContent', JSON.stringify({ contents: [{ parts: [{ text: 'hello' }] }] })],
}
/** A body with so many levels of objects and arrays. */
const levels = count => `{"model":"mock-c5","x":${'['.repeat(count - 1)}${']'.repeat(count - 1)}}`
let system
let key
before(async () => {
  system = await System.start({
    models: ['mock-c5', 'mock-c5-l30'],
    config: { limits: 'head = "8KiB"\nbody = "64KiB"\nhead_timeout = "1s"\nbody_min_per_s = "64KiB"\njson_depth = 32' },
  })
  key = await system.customer('bad', { credit: '1' })
})
after(() => system?.stop())

async function nothingHappened() {
  assert.deepEqual(await system.mock.since(), [])
  const wallet = await system.wallet('bad')
  assert.equal(wallet.held, 0n)
  assert.equal(wallet.charged, 0n)
  await system.check()
}

/** The refusal has a body in the format's own shape. */
function shaped(format, answer) {
  const error = JSON.parse(answer.body).error
  assert.equal(typeof error.message, 'string')
  if (format === 'claude') assert.equal(JSON.parse(answer.body).type, 'error')
  if (format === 'gemini') assert.equal(error.code, answer.status)
  if (format === 'openai' || format === 'responses') assert.ok('param' in error && 'code' in error && 'type' in error)
}

for (const [format, [path, body]] of Object.entries(PATHS)) {
  describe(format, () => {
    const cases = {
      'invalid JSON': [body.slice(0, -1), 400],
      'JSON of another kind': ['[1,2]', 400],
      'an empty body': ['', 400],
      'JSON that is too deep': [levels(33), 400, /levels of objects and arrays/],
      'JSON that is much too deep': [levels(10_000), 400, /levels of objects and arrays/],
      'no key': [body, 401],
      'a body over the limit': [JSON.stringify({ model: 'mock-c5', x: 'x'.repeat(80 << 10) }), format === 'gemini' ? 400 : 413],
    }
    if (format !== 'gemini') cases['no model'] = ['{"messages":[]}', 400]
    for (const [name, [text, status, words = /./]] of Object.entries(cases)) {
      test(`${name}: ${status}`, async () => {
        await system.mock.mark()
        const answer = await exchange(system.port, post(path, text, name === 'no key' ? {} : { key }))
        assert.equal(answer.status, status, answer.text.slice(0, 400))
        shaped(format, answer)
        assert.match(JSON.parse(answer.body).error.message, words)
        await nothingHappened()
      })
    }
    test('the wrong method: 405', async () => {
      const answer = await exchange(system.port, `DELETE ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\n\r\n`)
      assert.equal(answer.status, 405)
    })
  })
}

describe('requests that are not quite HTTP', () => {
  const good = () => post('/v1/chat/completions', chat('mock-c5'), { key })
  const cases = {
    'unknown path': [() => good().replace('/v1/chat/completions', '/v1/nothing'), [404]],
    'no Host': [() => good().replace('Host: sluice.test\r\n', ''), [400]],
    'two Hosts': [() => good().replace('Host:', 'Host: b\r\nHost:'), [400]],
    'a bare LF': [() => good().replace('\r\n', '\n'), [400]],
    'HTTP/2 preface': [() => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 505]],
    'TLS on a plain port': [() => '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', [0, 400]],
    'length and chunked': [() => good().replace('Content-Length', 'Transfer-Encoding: chunked\r\nContent-Length'), [400]],
    'two lengths': [() => good().replace('Content-Length', 'Content-Length: 5\r\nContent-Length'), [400]],
    'a negative length': [() => post('/v1/chat/completions', '{}', { key, length: -1 }), [400]],
    'a length beyond 64 bits': [() => post('/v1/chat/completions', '{}', { key, length: '99999999999999999999999' }), [400, 413]],
    'a head over the limit': [() => good().replace('Host:', `X-Long: ${'x'.repeat(9000)}\r\nHost:`), [431]],
    'too many fields': [() => good().replace('Host:', `${'a: b\r\n'.repeat(200)}Host:`), [431, 400]],
    'a space before the colon': [() => good().replace('Host:', 'Host :'), [400]],
    'NUL in a value': [() => good().replace('sluice.test', 'slu\0ice'), [400]],
    'CONNECT': [() => 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', [400, 405, 501]],
    'compressed body': [() => good().replace('Host:', 'Content-Encoding: gzip\r\nHost:'), [400, 415]],
  }
  for (const [name, [bytes, statuses]] of Object.entries(cases)) {
    test(`${name}: ${statuses}`, async () => {
      await system.mock.mark()
      const answer = await exchange(system.port, Buffer.from(bytes(), 'latin1'))
      assert.ok(statuses.includes(answer.status), `${answer.status}: ${answer.text.slice(0, 300)}`)
      await nothingHappened()
    })
  }

  test('a head that never ends is cut after its time', async () => {
    const socket = await open(system.port)
    socket.write('POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n')
    const begun = Date.now()
    await socket.ended
    assert.ok(Date.now() - begun < 4000)
    assert.ok([0, 408].includes(statusOf(socket.bytes)))
  })

  test('a body that drips is cut', async () => {
    await system.mock.mark()
    const socket = await open(system.port)
    socket.write(post('/v1/chat/completions', '{"model":', { key, length: 60_000 }))
    const drip = setInterval(() => socket.write(' '), 50)
    const begun = Date.now()
    await socket.ended
    clearInterval(drip)
    assert.ok(Date.now() - begun < 8000)
    await nothingHappened()
  })

  test('good requests go on being answered, also split at every byte and pipelined', async () => {
    await system.mock.mark()
    const text = good()
    const socket = await open(system.port)
    for (const byte of text) {
      socket.write(byte)
      if (Math.random() < 0.1) await sleep(1)
    }
    while (!socket.bytes.includes('"usage"')) await sleep(5)
    assert.equal(statusOf(socket.bytes), 200)
    socket.destroy()
    const twice = await open(system.port)
    twice.write(post('/v1/chat/completions', chat('mock-c5-l30'), { key }) + text)
    while (twice.bytes.split('"usage"').length < 3) await sleep(5)
    assert.ok(twice.bytes.indexOf('mock-c5-l30') < twice.bytes.lastIndexOf('"model":"mock-c5"'), 'in order')
    twice.destroy()
    assert.equal((await system.mock.records(3)).length, 3)
    await system.check()
  })
})

test('numbers that are no counts of tokens: refused or cut down, and never a credit', async () => {
  const numbers = await system.customer('numbers', { credit: '1' })
  await until(async () => (await system.wallet('numbers')).available > 0n, 'the credit')
  const values = ['-1', '0', '-0', '2147483648', '9007199254740993', '9223372036854775807', '9223372036854775808',
    '18446744073709551616', '1e308', '-1e308', '5.5', '"5"', 'null', 'true', '[1]', 'NaN']
  const statuses = new Map()
  for (const [path, body, fields] of [
    ['/v1/chat/completions', chat('mock-c5'), ['max_tokens', 'max_completion_tokens', 'n']],
    ['/v1/responses', JSON.stringify({ model: 'mock-c5', input: 'hello' }), ['max_output_tokens']],
    ['/v1/messages', chat('mock-c5'), ['max_tokens']],
    ['/v1beta/models/mock-c5:generateContent', PATHS.gemini[1], ['generationConfig']],
  ]) {
    for (const field of fields) {
      for (const value of values) {
        const inner = field === 'generationConfig' ? `{"maxOutputTokens":${value}}` : value
        const text = `${body.slice(0, -1)},"${field}":${inner}}`
        const { status } = await exchange(system.port, post(path, text, { key: numbers }))
        assert.ok([200, 400, 402, 429].includes(status), `${field} = ${value}: ${status}`)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      }
    }
  }
  assert.ok(statuses.get(400) > 30, JSON.stringify([...statuses]))
  const rows = await system.usageOf('numbers', statuses.get(200) ?? 0)
  for (const row of rows) assert.ok(paid(row) >= 0n)
  const total = rows.reduce((sum, row) => sum + paid(row), 0n)
  const wallet = await system.wallet('numbers')
  assert.equal(wallet.held, 0n)
  assert.equal(wallet.available, 1_000_000_000n - total)
  await system.check()
})
