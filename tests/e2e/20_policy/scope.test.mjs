// Which key may do what, from where and until when; what a refusal looks like in each SDK.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { call } from '../lib/http.mjs'
import { sleep, until } from '../lib/processes.mjs'
import { chat } from '../lib/raw.mjs'
import { sdks } from '../lib/sdks.mjs'
import { System } from '../lib/system.mjs'

const MODELS = ['mock-c5', 'mock-c6', 'other-mock-c5']
let system
before(async () => { system = await System.start({ models: MODELS, config: { edge: 'shards = 2' } }) })
after(() => system?.stop())

const refusedWith = status => error => error.status === status
const set = (customer, ...options) => system.cli('key', 'set', '--customer', customer, '--name', 'main', ...options)

for (const sdk of sdks) {
  describe(sdk.name, () => {
    const connect = key => sdk.connect(system.url, key)

    test('models by name and wildcard: others are unknown, and not listed', async () => {
      const key = await system.customer(`${sdk.name}-scope`, { key: { models: ['mock-*', 'no-such'] } })
      const client = connect(key)
      await client.whole('mock-c5')
      await client.whole('mock-c6')
      await assert.rejects(client.whole('other-mock-c5'), sdk.errors.unknownModel)
      assert.deepEqual((await client.models()).sort(), ['mock-c5', 'mock-c6'])
      await set(`${sdk.name}-scope`, '--models', '*-c5')
      assert.deepEqual((await client.models()).sort(), ['mock-c5', 'other-mock-c5'])
      await assert.rejects(client.whole('mock-c6'), sdk.errors.unknownModel)
      assert.equal((await system.mock.recorder('?limit=0')).open, 0)
    })

    test('networks that may and may not', async () => {
      const name = `${sdk.name}-network`
      const client = connect(await system.customer(name, { key: { allow: ['10.0.0.0/8'] } }))
      await assert.rejects(client.whole('mock-c5'), refusedWith(403))
      await set(name, '--allow', '10.0.0.0/8,127.0.0.0/8')
      await client.whole('mock-c5')
      await set(name, '--deny', '127.0.0.1/32')
      await assert.rejects(client.whole('mock-c5'), refusedWith(403))
      await set(name, '--allow', '', '--deny', '::1/128')
      await client.whole('mock-c5')
    })

    test('an expired key, and one that expires while it is used', async () => {
      const name = `${sdk.name}-expiry`
      const client = connect(await system.customer(name, { key: { expires: '2020-01-01' } }))
      await assert.rejects(client.whole('mock-c5'), sdk.errors.wrongKey)
      await set(name, '--expires', '2s')
      await client.whole('mock-c5')
      await sleep(2100)
      await assert.rejects(client.whole('mock-c5'), sdk.errors.wrongKey)
    })

    test('disabled and enabled again; a customer that is suspended', async () => {
      const name = `${sdk.name}-off`
      const client = connect(await system.customer(name))
      await set(name, '--no-enable')
      await assert.rejects(client.whole('mock-c5'), sdk.errors.wrongKey)
      await set(name, '--enable')
      await client.whole('mock-c5')
      await system.cli('customer', 'set', name, '--no-enable')
      await assert.rejects(client.whole('mock-c5'), refusedWith(403))
    })
  })
}

describe('rotation', () => {
  const works = async key => (await call(system, 'POST', '/v1/chat/completions', { key, body: chat('mock-c5') })).status
  const rotate = (customer, overlap) =>
    system.cli('key', 'rotate', '--customer', customer, '--name', 'main', '--overlap', overlap)

  test('the new secret at once, the old one until the overlap is over', async () => {
    const old = await system.customer('rotated', { key: { budget_total: '50' } })
    const { key: fresh, id } = await rotate('rotated', '3s')
    assert.notEqual(fresh, old)
    assert.equal(await works(fresh), 200)
    assert.equal(await works(old), 200)
    const rows = await system.usageOf('rotated', 2)
    assert.deepEqual(rows.map(row => row.key), ['main', 'main'], 'one key, under two secrets')
    const shown = await system.cli('key', 'show', '--customer', 'rotated', '--name', 'main')
    assert.equal(shown.id, id)
    assert.match(shown.also_valid, new RegExp(`^${old.slice(-4)} until `))
    assert.ok(!JSON.stringify(shown).includes(fresh), 'shown once')
    await until(async () => await works(old) === 401, 'the old secret to end', 5000, 100)
    assert.equal(await works(fresh), 200)
    await system.check()
  })

  test('without an overlap the old one ends at once, and those before it', async () => {
    const first = await system.customer('leaked')
    const { key: second } = await rotate('leaked', '24h')
    assert.deepEqual([await works(first), await works(second)], [200, 200])
    const { key: third } = await rotate('leaked', '0')
    assert.deepEqual([await works(first), await works(second), await works(third)], [401, 401, 200])
    await system.check()
  })

  test('what is set for a key holds for its old secret as well', async () => {
    const old = await system.customer('narrowed')
    await rotate('narrowed', '24h')
    await system.cli('key', 'set', '--customer', 'narrowed', '--name', 'main', '--models', 'mock-c6')
    assert.equal(await works(old), 404)
  })
})
