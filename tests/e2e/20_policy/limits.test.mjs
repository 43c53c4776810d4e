// A thousand requests at once against every kind of limit: exactly those that it allows are admitted, by two shards
// together, and whatever becomes of a shard gives its places back.
import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { after, before, test } from 'node:test'
import { call } from '../lib/http.mjs'
import { nanos, paid, usd } from '../lib/price.mjs'
import { proveExact } from '../lib/proof.mjs'
import { until } from '../lib/processes.mjs'
import { chat } from '../lib/raw.mjs'
import { System } from '../lib/system.mjs'

const ADMITTED = 10
const ASKED = 1000
const PATH = '/v1/chat/completions'
let system
let held        // nanos that one request reserves
let tokens      // tokens that one request is counted as against tokens a minute
before(async () => {
  system = await System.start({ models: ['mock-c5', 'mock-c5-hold'], config: { edge: 'shards = 2' } })
  const key = await system.customer('trial', { key: { tokens_per_minute: 100_000_000 } })
  const answer = await ask(key, 'mock-c5')
  assert.equal(answer.status, 200)
  tokens = 100_000_000 - Number(answer.headers['x-ratelimit-remaining-tokens'])
  held = nanos((await system.usageOf('trial', 1))[0].held_usd)
  assert.ok(held > 0n && tokens > 100, `${held} nanos, ${tokens} tokens`)
})
after(() => system?.stop())

const ask = (key, model, agent) =>
  call(system, 'POST', PATH, { key, agent, body: chat(model, { max_tokens: 100 }) })

const balance = async key => (await call(system, 'GET', '/v1/sluice/balance', { key })).json

/** What the tests below set: on the key (`key`) or on the customer (`own`), and what the client is then told. */
const LIMITS = [
  ['wallet', () => ({ credit: usd(held * BigInt(ADMITTED)) }), 'insufficient_quota'],
  ...['key', 'own'].flatMap(party => [
    [`${party}: requests a minute`, () => ({ [party]: { requests_per_minute: ADMITTED } }), 'rate_limit_exceeded', 60 / ADMITTED],
    [`${party}: tokens a minute`, () => ({ [party]: { tokens_per_minute: ADMITTED * tokens } }), 'rate_limit_exceeded', 60 / ADMITTED],
    [`${party}: requests at once`, () => ({ [party]: { max_in_flight: ADMITTED } }), 'rate_limit_exceeded'],
    ...['total', 'day', 'month'].map(window => [`${party}: budget ${window}`, () =>
      ({ [party]: { [`budget_${window}`]: usd(held * BigInt(ADMITTED)) } }), 'insufficient_quota']),
  ]),
]

for (const [name, make, code, refillsEach] of LIMITS) {
  test(`${name}: of ${ASKED} parallel requests exactly ${ADMITTED} are admitted`, async () => {
    const customer = name.replace(/[^a-z]+/g, '-')
    const settings = make()
    // Without it a key that has a budget asks for less and less.
    settings.key = { ...settings.key, clamp: false }
    const key = await system.customer(customer, settings)
    await system.mock.mark()
    const agent = new Agent({ keepAlive: true, maxSockets: ASKED })
    const began = performance.now()
    const statuses = new Map()
    const codes = new Set()
    let took = 0
    const all = Array.from({ length: ASKED }, () => ask(key, 'mock-c5-hold', agent).then(answer => {
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
      if (answer.status !== 200) {
        codes.add(answer.json.error.code)
        took = performance.now() - began
      }
    }))
    // A bucket fills up while they are coming.
    const most = () => ADMITTED + (refillsEach ? Math.floor((performance.now() - began) / 1000 / refillsEach) : 0)
    await until(() => (statuses.get(429) ?? 0) >= ASKED - most(), `${ASKED - ADMITTED} to be refused`, 30_000)
    await until(async () => (await system.mock.recorder('?limit=0')).held + (statuses.get(429) ?? 0) === ASKED, 'the others to be held')
    const admitted = ASKED - statuses.get(429)
    const allowed = ADMITTED + (refillsEach ? Math.floor(took / 1000 / refillsEach) : 0)
    assert.ok(admitted >= ADMITTED && admitted <= allowed, `${admitted} of ${allowed} in ${took} ms`)
    assert.deepEqual([...codes], [code])
    const now = await balance(key)
    assert.equal(now.key.in_flight, admitted)
    assert.equal(now.customer.in_flight, admitted)
    assert.equal((await system.wallet(customer)).held, held * BigInt(admitted))
    await system.mock.release()
    await Promise.all(all)
    agent.destroy()
    assert.deepEqual(Object.fromEntries(statuses), { 200: admitted, 429: ASKED - admitted })
    const rows = await system.usageOf(customer, admitted)
    await proveExact(system, await system.mock.records(admitted), rows.filter(row => paid(row) > 0n))
    const then = await balance(key)
    assert.equal(then.key.in_flight, 0)
    assert.equal(then.customer.in_flight, 0)
    const spent = rows.reduce((sum, row) => sum + paid(row), 0n)
    assert.equal(nanos(then.key.total.spent_usd), spent)
    assert.equal(nanos(then.customer.day.spent_usd), spent)
  })
}

test('model lists and token counts take a request a minute, and neither tokens nor money', async () => {
  const key = await system.customer('free', { credit: '0', key: { requests_per_minute: 4, tokens_per_minute: 1000 } })
  const free = [
    ['GET', '/v1/models', {}],
    ['GET', '/claude/v1/models', { 'anthropic-version': '2023-06-01' }],
    ['POST', '/claude/v1/messages/count_tokens', { 'anthropic-version': '2023-06-01' }],
    ['POST', '/gemini/v1beta/models/mock-c5:countTokens', {}],
  ]
  const body = { '/claude/v1/messages/count_tokens': chat('mock-c5'),
    '/gemini/v1beta/models/mock-c5:countTokens': '{"contents":[{"parts":[{"text":"hello there"}]}]}' }
  let left = 4
  for (const [method, path, headers] of free) {
    const answer = await call(system, method, path, { key, headers, body: body[path] })
    assert.equal(answer.status, 200, `${path}: ${answer.body}`)
    left -= 1
    const said = answer.headers['x-ratelimit-remaining-requests'] ?? answer.headers['anthropic-ratelimit-requests-remaining']
    if (!path.startsWith('/gemini')) assert.equal(Number(said), left, path)
    const tokens = answer.headers['x-ratelimit-remaining-tokens'] ?? answer.headers['anthropic-ratelimit-tokens-remaining']
    if (!path.startsWith('/gemini')) assert.equal(Number(tokens), 1000, path)
  }
  for (const [method, path, headers] of free) {
    const answer = await call(system, method, path, { key, headers, body: body[path] })
    assert.equal(answer.status, 429, path)
    assert.ok(Number(answer.headers['retry-after'] ?? 15) <= 15, `${path}: ${answer.headers['retry-after']}`)
  }
  const { customer } = await balance(key)
  assert.equal(customer.in_flight, 0, 'asking for the balance is never limited')
  assert.deepEqual(await system.usage('--customer', 'free'), [])
})

test('a budget is used to its last nano and not beyond, one request after another', async () => {
  const key = await system.customer('to-the-end', { key: { budget_day: usd(held * 3n), clamp: false } })
  let served = 0
  for (;;) {
    const answer = await ask(key, 'mock-c5')
    if (answer.status !== 200) {
      assert.equal(answer.json.error.code, 'insufficient_quota')
      assert.equal(answer.headers['x-should-retry'], 'false')
      const seconds = Number(answer.headers['retry-after'])
      const left = 86_400 - Math.floor(Date.now() / 1000) % 86_400
      assert.ok(Math.abs(seconds - left) <= 2, `the day ends in ${left} s, not ${seconds}`)
      break
    }
    served += 1
  }
  const { day } = (await balance(key)).key
  const cost = nanos(day.spent_usd) / BigInt(served)
  assert.equal(nanos(day.spent_usd), cost * BigInt(served))
  assert.ok(held * 3n - nanos(day.spent_usd) < held, 'another hold would not have fitted')
  assert.ok(nanos(day.spent_usd) <= held * 3n)
  await system.check()
})

test('kill -9 of every shard: its requests leave no place taken, on key and customer', async () => {
  const key = await system.customer('killed', { key: { max_in_flight: 20 }, own: { max_in_flight: 20 } })
  for (let round = 0; round < 3; ++round) {
    const agent = new Agent({ keepAlive: true, maxSockets: 100 })
    const some = Array.from({ length: 20 }, () => ask(key, 'mock-c5-hold', agent).catch(error => error))
    await until(async () => (await balance(key)).key.in_flight === 20, '20 under way')
    assert.equal((await ask(key, 'mock-c5')).status, 429)
    const victims = system.shards()
    assert.equal(victims.length, 2)
    for (const pid of victims) process.kill(pid, 'SIGKILL')
    await until(() => { const now = system.shards(); return now.length === 2 && !victims.some(pid => now.includes(pid)) }, 'new shards')
    await system.ready()
    for (const party of ['key', 'customer']) {
      await until(async () => (await balance(key).catch(() => null))?.[party].in_flight === 0, `${party}: no place taken`, 15_000)
    }
    await Promise.all(some)
    await system.mock.release()
    agent.destroy()
    await system.check()
  }
  assert.equal((await ask(key, 'mock-c5')).status, 200)
  assert.equal((await system.wallet('killed')).held, 0n)
})
