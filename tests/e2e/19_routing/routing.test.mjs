// Which provider gets a request and what happens when one fails, with the built programs: rows D2 to D5, D8 to D10 and D12.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { nanos, paid, PRICE, priceToml } from '../lib/price.mjs'
import { bodyOf } from '../lib/mock.mjs'
import { chat, exchange, post } from '../lib/raw.mjs'
import { sleep, until } from '../lib/processes.mjs'
import { sdks } from '../lib/sdks.mjs'
import { Stub } from '../lib/stub.mjs'
import { System } from '../lib/system.mjs'

const ANSWER = JSON.stringify({
  id: 'c1', object: 'chat.completion', model: 'up', choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'hello' } }],
  usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
})

function reply(socket, status, body, fields = '') {
  socket.write(`HTTP/1.1 ${status} X\r\ncontent-type: application/json\r\n${fields}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
}
const served = socket => reply(socket, 200, ANSWER)
const refused = (status, type, fields) => socket => reply(socket, status, JSON.stringify({ error: { message: 'no', type, code: type } }), fields)

/** A model and its channels, each with a provider of its own. */
const modelToml = (name, routes, more = '') => `
[[model]]
name = "${name}"
${more}
${routes.map(([channel, upstream, priority = 0, weight = 1]) => `[[model.route]]
channel = "${channel}"
priority = ${priority}
weight = ${weight}
${upstream ? `upstream_model = "${upstream}"` : ''}`).join('\n')}
[[model.price]]
${priceToml(PRICE)}
`
const channelToml = (name, url, keys = ['main']) => `
[[provider]]
name = "${name}"
dialect = "openai"
base_url = "${url}"
${keys.map(key => `[[provider.key]]\nname = "${key}"\nsecret = "sk-${name}-${key}"`).join('\n')}
[[channel]]
name = "${name}"
provider = "${name}"
`

let system
let stubs
before(async () => {
  system = await System.start({ models: ['mock-c5'], config: { edge: 'shards = 2' } })
  stubs = { east: await Stub.start(), west: await Stub.start(), north: await Stub.start() }
  for (const [name, stub] of Object.entries(stubs)) {
    stub.play = served
    await system.apply(channelToml(name, `http://127.0.0.1:${stub.port}/v1`, name === 'east' ? ['a', 'b'] : ['main']))
  }
})
after(async () => {
  for (const stub of Object.values(stubs ?? {})) stub.stop()
  await system?.stop()
})

/** Stubs as at the start. */
function reset() {
  for (const stub of Object.values(stubs)) {
    stub.play = (socket, request) => {
      stub.asked = JSON.parse(request.body).model
      served(socket)
    }
    stub.requests = 0
  }
}

const ask = (key, model, headers = {}, more = {}) =>
  exchange(system.port, post('/v1/chat/completions', chat(model, more), { key, headers }))

describe('names (D3)', () => {
  let key
  before(async () => {
    reset()
    await system.apply(modelToml('gpt-x', [['west', '*']], 'aliases = ["sluice-fast", "gpt-x-*"]') +
      modelToml('gpt-y', [['north', 'up-y']]) +
      '[[route_group]]\nname = "premium"\nmodels = ["gpt-x", "gpt-y"]\n')
    key = await system.customer('namer')
  })

  for (const sdk of sdks.filter(({ name }) => name !== 'gemini')) {
    test(`${sdk.name}: models.list shows models and groups, no patterns`, async () => {
      const names = await sdk.connect(system.url, key).models()
      for (const name of ['gpt-x', 'gpt-y', 'premium']) assert.ok(names.includes(name), name)
      assert.ok(!names.some(name => name.includes('*')), names.join(' '))
    })
  }

  for (const [asked, upstream] of [['gpt-x', 'gpt-x'], ['sluice-fast', 'sluice-fast'], ['gpt-x-2026-11', 'gpt-x-2026-11'], ['premium', 'premium']]) {
    test(`a call by ${asked}`, async () => {
      const answer = await ask(key, asked)
      assert.equal(answer.status, 200, answer.body)
      assert.equal(stubs.west.asked, upstream)
    })
  }

  test('a group goes on with its next model when all channels of one fail, at that one\'s price', async () => {
    stubs.west.play = refused(503, 'server_error')
    const answer = await ask(key, 'premium')
    assert.equal(answer.status, 200, answer.body)
    assert.equal(stubs.north.asked, 'up-y')
    const rows = await system.usageOf('namer', 6)
    const first = rows.find(row => row.failed)
    assert.match(first.failed, /^west:503:overloaded:\d+ms$/)
    assert.equal(first.model, 'gpt-x')
    assert.equal(paid(first), 0n)
    const [next, ...more] = rows.filter(row => row.request_id === first.request_id && row !== first)
    assert.deepEqual(more, [])
    assert.equal(next.model, 'gpt-y')
    assert.ok(paid(next) > 0n)
  })

  test('a key may be kept to a group\'s name', async () => {
    const scoped = await system.customer('scoped', { key: { models: ['premium'] } })
    assert.equal((await ask(scoped, 'premium')).status, 200)
    assert.equal((await ask(scoped, 'gpt-y')).status, 404)
  })
})

describe('keys and weights of channels (D2)', () => {
  test('one of two keys answers 401: the other serves, the first is left alone', async () => {
    reset()
    await system.apply(modelToml('two-keys', [['east']]))
    const key = await system.customer('keys')
    let bad = 0
    stubs.east.play = (socket, request) => {
      if (!request.head.includes('sk-east-a')) return served(socket)
      bad += 1
      refused(401, 'invalid_api_key')(socket)
    }
    for (let i = 0; i < 30; ++i) assert.equal((await ask(key, 'two-keys')).status, 200)
    assert.equal(bad, 1)
    const rows = await system.usageOf('keys', 30)
    assert.equal(rows.filter(row => row.failed === '').length, 29)
    assert.equal(rows.filter(row => /^east:401:key_bad:/.test(row.failed)).length, 1)
  })

  test('order by priority, share by weight', async () => {
    reset()
    await system.apply(modelToml('shared', [['west', '', 5, 3], ['north', '', 5, 1], ['east', '', 9, 100]]))
    const key = await system.customer('sharer')
    for (let i = 0; i < 200; ++i) assert.equal((await ask(key, 'shared')).status, 200)
    assert.equal(stubs.east.requests, 0)
    assert.equal(stubs.west.requests + stubs.north.requests, 200)
    assert.ok(Math.abs(stubs.west.requests - 150) < 30, `${stubs.west.requests} of 200, 150 is their share`)
    assert.ok((await system.usageOf('sharer', 200)).every(row => row.route === 'weight'))
  })
})

describe('failover (D4)', () => {
  let key
  before(async () => {
    reset()
    const at = `http://127.0.0.1:${system.mock.port}`
    await system.apply(['one', 'two', 'three'].map(name => channelToml(name, `${at}/${name}/v1`)).join('') +
      modelToml('stream', [['one', 'mock-c5-cut0', 0], ['two', 'mock-c5-e503', 1], ['three', 'mock-c20', 2]]) +
      modelToml('sound', [['one', 'mock-c5', 0], ['two', 'mock-c5', 1], ['three', 'mock-c5', 2]]))
    key = await system.customer('faller', { key: { may_pin: true } })
  })

  test('the official SDK streams to the end while two providers fail', async () => {
    await system.mock.mark()
    const client = sdks[0].connect(system.url, key)
    let text = ''
    for await (const part of client.stream('stream')) text += part
    assert.ok(text.length > 0)
    const [row] = await system.usageOf('faller', 1)
    assert.equal(row.channel, 'three')
    assert.equal(row.attempts, 3)
    assert.equal(row.route, 'failover')
    assert.match(row.failed, /^one:0:broke:\d+ms, two:503:overloaded:\d+ms$/)
    assert.ok(nanos(row.failed_cost_usd) > 0n, 'the broken one may bill its prompt')
    const records = await system.mock.records(3)
    assert.deepEqual(records.map(record => record.target.split('/')[1]), ['one', 'two', 'three'])
    assert.equal(new Set(records.map(record => JSON.parse(bodyOf(record)).messages[0].content)).size, 1)
    await system.check()
  })

  test('the drill: one command shows each fallback', async () => {
    const steps = await system.cli('drill', 'fallback', 'sound', '--key', key)
    assert.deepEqual(steps.map(step => [step.made_to_fail, step.served_by, step.ok]),
      [[0, 'one', true], [1, 'two', true], [2, 'three', true]])
    assert.deepEqual(steps.map(step => step.failed), ['', 'one', 'one,two'])
    // Nothing was held against them.
    assert.equal((await ask(key, 'sound')).status, 200)
    assert.equal((await system.usageOf('faller', 5)).at(-1).channel, 'one')
  })

  test('the drill is refused to keys that may not pin', async () => {
    const plain = await system.customer('plain')
    await assert.rejects(system.cli('drill', 'fallback', 'sound', '--key', plain), /may not run drills/)
  })
})

describe('ejection (D5)', () => {
  test('five errors: left alone by every shard within a second, and never the last way', async () => {
    reset()
    await system.apply(channelToml('sick', `http://127.0.0.1:${stubs.north.port}/v1`) +
      modelToml('guarded', [['sick', '', 0], ['west', '', 1]]) + modelToml('alone', [['sick', '', 0]]))
    const key = await system.customer('guard')
    stubs.north.play = refused(503, 'server_error')
    for (let i = 0; i < 5; ++i) assert.equal((await ask(key, 'guarded')).status, 200)
    assert.equal(stubs.north.requests, 5)
    const start = Date.now()
    // New connections each: both shards are asked.
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask(key, 'guarded')))
    assert.ok(answers.every(answer => answer.status === 200))
    assert.ok(Date.now() - start < 1000)
    assert.ok(stubs.north.requests <= 6, `${stubs.north.requests} requests reached the sick one`)
    const rows = await system.usageOf('guard', 45)
    assert.ok(rows.slice(-39).filter(row => row.route === 'passed_over').length >= 38)
    // The same channel is all that another model has.
    assert.equal((await ask(key, 'alone')).status, 503)
    stubs.north.play = served
    await until(async () => (await ask(key, 'alone')).status === 200, 'the last way', 5000)
  })
})

describe('pins (D8)', () => {
  test('by key suffix and by header, where the key may; 403 where it may not; 400 where there is nothing', async () => {
    reset()
    await system.apply(modelToml('pinned', [['west', '', 0], ['north', '', 1]]))
    const may = await system.customer('pinner', { key: { may_pin: true } })
    const plain = await system.customer('unpinned')
    for (let i = 0; i < 10; ++i) {
      assert.equal((await ask(`${may}-north`, 'pinned')).status, 200)
      assert.equal((await ask(may, 'pinned', { 'x-sluice-channel': 'north' })).status, 200)
    }
    assert.equal(stubs.north.requests, 20)
    assert.equal((await ask(`${plain}-north`, 'pinned')).status, 403)
    assert.equal((await ask(plain, 'pinned', { 'x-sluice-channel': 'north' })).status, 403)
    assert.equal((await ask(`${may}-nowhere`, 'pinned')).status, 400)
    assert.equal((await ask(`${may}-one`, 'pinned')).status, 400)
    assert.equal(stubs.north.requests, 20)
    assert.ok((await system.usageOf('pinner', 20)).every(row => row.route === 'pinned' && row.channel === 'north'))
  })
})

describe('sessions (D10)', () => {
  test('1,000 calls of a session: one channel and key; it moves when that fails', async () => {
    reset()
    await system.apply(channelToml('pool', `http://127.0.0.1:${stubs.west.port}/v1`, ['a', 'b', 'c', 'd']) +
      modelToml('cached', [['pool', ''], ['north', '']]))
    const key = await system.customer('session')
    const seen = new Set()
    const note = name => (socket, request) => {
      seen.add(name + /bearer (\S+)/i.exec(request.head)[1])
      served(socket)
    }
    stubs.west.play = note('west ')
    stubs.north.play = note('north ')
    const send = () => ask(key, 'cached', {}, { prompt_cache_key: 'conversation-1' })
    for (let i = 0; i < 1000; ++i) assert.equal((await send()).status, 200)
    assert.equal(seen.size, 1)
    const [home] = seen
    seen.clear()
    const fails = refused(429, 'rate_limit_error', 'retry-after: 60\r\n')
    for (const [name, stub] of [['west ', stubs.west], ['north ', stubs.north]]) {
      stub.play = (socket, request) =>
        name + /bearer (\S+)/i.exec(request.head)[1] === home ? fails(socket) : note(name)(socket, request)
    }
    for (let i = 0; i < 50; ++i) assert.equal((await send()).status, 200)
    assert.equal(seen.size, 1)
    assert.ok(!seen.has(home))
  })
})

describe('what is disabled (D12)', () => {
  test('is refused in each format and never called', async () => {
    reset()
    const formats = [['/v1/chat/completions', 'openai'], ['/v1/messages', 'claude'], ['/v1beta/models/off:generateContent', 'gemini']]
    await system.apply(modelToml('off', [['openai', 'mock-c5'], ['claude', 'mock-c5'], ['gemini', 'mock-c5']], 'enabled = false'))
    const key = await system.customer('disabled')
    await system.mock.mark()
    const send = path => exchange(system.port, post(path, path.includes('messages')
      ? JSON.stringify({ model: 'off', max_tokens: 10, messages: [{ role: 'user', content: 'hi' }] })
      : path.includes('generate') ? JSON.stringify({ contents: [{ role: 'user', parts: [{ text: 'hi' }] }] }) : chat('off'), { key }))
    for (const [path, format] of formats) assert.equal((await send(path)).status, 404, format)
    // A model that is enabled on channels that are not.
    await system.cli('model', 'set', 'off', '--enable')
    for (const channel of ['openai', 'claude', 'gemini']) await system.cli('channel', 'set', channel, '--no-enable')
    for (const [path, format] of formats) {
      const { status } = await send(path)
      assert.ok(status === 503 || status === 529, `${format}: ${status}`)
    }
    assert.equal((await system.mock.since()).length, 0)
    for (const channel of ['openai', 'claude', 'gemini']) await system.cli('channel', 'set', channel, '--enable')
    for (const [path, format] of formats) assert.equal((await send(path)).status, 200, format)
  })
})

test('killing shards in the middle of failovers leaks nothing', async () => {
  const key = await system.customer('killer')
  let going = true
  const clients = Array.from({ length: 16 }, async () => {
    while (going) await ask(key, 'stream', {}, { stream: true }).catch(() => {})
  })
  for (let i = 0; i < 6; ++i) {
    await sleep(300)
    const [shard] = system.shards()
    if (shard) process.kill(shard, 'SIGKILL')
  }
  going = false
  await Promise.all(clients)
  await until(async () => (await system.wallet('killer')).held === 0n, 'all holds to be closed', 15_000)
  await system.check()
})
