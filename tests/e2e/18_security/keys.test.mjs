// Who asks with keys that there are not is refused unseen after a while; who shares an address with them is not.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sleep, until } from '../lib/processes.mjs'
import { chat, exchange, open, post } from '../lib/raw.mjs'
import { System } from '../lib/system.mjs'

const PATH = '/v1/chat/completions'
const A_MINUTE = 60

describe('unknown keys', () => {
  let system, known, fresh

  before(async () => {
    system = await System.start({ models: ['mock-c5'], config: { edge: 'shards = 1' } })  // 60 a minute is the default
    known = await system.customer('known')
    fresh = await system.customer('fresh')
  })
  after(() => system?.stop())

  const ask = (key, path = PATH) => exchange(system.port, post(path, chat('mock-c5'), { key }))
  const counter = async name => {
    const page = await (await fetch(`http://127.0.0.1:${system.metricsPort}/metrics`)).text()
    return [...page.matchAll(new RegExp(`^${name}\\{[^}]*\\} (\\d+)`, 'gm'))].reduce((sum, found) => sum + Number(found[1]), 0)
  }
  const stranger = number => `sk-${String(number).padStart(43, 'x')}`
  /** Until nothing is left of what has come back since. */
  const exhaust = async () => { for (let i = 0; (await ask(stranger(i))).status !== 429;) i += 1 }

  test('are looked up so often a minute from one address; then 429, and no look-up', async () => {
    assert.equal((await ask(known)).status, 200)
    const socket = await open(system.port)
    const seen = []
    for (let i = 0; i < A_MINUTE + 20; i += 1) {
      const before = socket.bytes.length
      socket.write(`GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${stranger(i)}\r\n\r\n`)
      await until(() => socket.bytes.slice(before).includes('\r\n\r\n{'), 'an answer', 5000, 1)
      seen.push(Number(socket.bytes.slice(before + 9, before + 12)))
    }
    socket.destroy()
    assert.deepEqual(seen.slice(0, A_MINUTE), Array(A_MINUTE).fill(401))
    assert.ok(seen.slice(A_MINUTE).filter(status => status === 429).length >= 18, String(seen))
    const late = await ask(stranger(1))
    assert.equal(late.status, 429)
    assert.match(late.text, /\r\nretry-after: [12]\r\n/i)
    assert.match(late.body, /incorrect API keys/)
    assert.ok(await counter('sluice_key_checks_refused_total') >= 18)
    assert.ok(await counter('sluice_unknown_keys_total') >= A_MINUTE)
  })

  test('a key that was good from there goes on; one that is new there waits for what retry-after says', async () => {
    for (let i = 0; i < 5; i += 1) assert.equal((await ask(known)).status, 200)
    await exhaust()
    assert.equal((await ask(fresh)).status, 429)
    await sleep(2100)
    assert.equal((await ask(fresh)).status, 200)
    await exhaust()
    assert.equal((await ask(fresh)).status, 200)
  })

  test('another address is not concerned, and a key that is missing is not counted', async () => {
    const neighbour = await open(system.port, '127.0.0.2')
    neighbour.write(post(PATH, chat('mock-c5'), { key: stranger(5) }))
    await until(() => neighbour.bytes.startsWith('HTTP/1.1 401'), 'the neighbour to be told')
    neighbour.destroy()
    assert.equal((await ask(undefined)).status, 401)
  })

  test('a key that is disabled is refused within a second of the command', async () => {
    const began = performance.now()
    await system.cli('key', 'set', '--customer', 'known', '--name', 'main', '--no-enable')
    assert.equal((await ask(known)).status, 401)
    assert.ok(performance.now() - began < 1000, `${performance.now() - began} ms`)
    await system.cli('key', 'set', '--customer', 'known', '--name', 'main', '--enable')
    assert.equal((await ask(known)).status, 200)
  })

  test('each format says it in its own words', async () => {
    await exhaust()
    const claude = await exchange(system.port, post('/v1/messages', JSON.stringify({ model: 'mock-c5', max_tokens: 5, messages: [] }),
      { headers: { 'x-api-key': stranger(1), 'anthropic-version': '2023-06-01' } }))
    assert.equal(claude.status, 429)
    assert.equal(JSON.parse(claude.body).error.type, 'rate_limit_error')
    const gemini = await exchange(system.port, post(`/v1beta/models/mock-c5:generateContent?key=${stranger(1)}`, '{"contents":[]}'))
    assert.equal(gemini.status, 429)
    assert.equal(JSON.parse(gemini.body).error.status, 'RESOURCE_EXHAUSTED')
  })
})
