// Many requests for the last credit: exactly those that it can pay pass.
import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { after, before, test } from 'node:test'
import { nanos, paid, usd } from '../lib/price.mjs'
import { proveExact } from '../lib/proof.mjs'
import { chat } from '../lib/raw.mjs'
import { until } from '../lib/processes.mjs'
import { System } from '../lib/system.mjs'

let system
before(async () => {
  system = await System.start({ models: ['mock-c5', 'mock-c5-hold'], config: { edge: 'shards = 2' } })
})
after(() => system?.stop())

function ask(agent, key, model) {
  const body = chat(model, { max_tokens: 100 })
  return new Promise((resolve, reject) => {
    const asked = request({
      agent, host: '127.0.0.1', port: system.port, method: 'POST', path: '/v1/chat/completions',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    }, answer => {
      answer.resume()
      answer.on('end', () => resolve(answer.statusCode))
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

test('1,000 parallel requests against a credit of exactly 10 holds: 10 pass', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1000 })
  const trial = await system.customer('trial')
  assert.equal(await ask(agent, trial, 'mock-c5-hold'.replace('-hold', '')), 200)
  const [row] = await system.usageOf('trial', 1)
  const held = nanos(row.held_usd)
  assert.ok(held > 0n)

  const key = await system.customer('racer', { credit: usd(held * 10n) })
  await system.mock.mark()
  const statuses = new Map()
  const all = Array.from({ length: 1000 }, () => ask(agent, key, 'mock-c5-hold').then(status => {
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
  }))
  await until(() => (statuses.get(429) ?? 0) === 990, 'the 990 that cannot be paid to be refused', 30_000)
  const seen = await system.mock.recorder('?limit=0')
  assert.equal(seen.held, 10)
  const wallet = await system.wallet('racer')
  assert.equal(wallet.held, held * 10n)
  assert.equal(wallet.available, 0n)
  await system.mock.release()
  await Promise.all(all)
  agent.destroy()
  assert.deepEqual(Object.fromEntries(statuses), { 200: 10, 429: 990 })
  const records = await system.mock.records(10)
  const rows = (await system.usageOf('racer', 10)).filter(row => paid(row) > 0n)
  await proveExact(system, records, rows)
  assert.equal((await system.wallet('racer')).held, 0n)
})
