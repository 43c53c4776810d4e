// What the gateway or the provider refuses reaches each SDK as its own error class, and costs nothing.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { cost, nanos, paid } from '../lib/price.mjs'
import { proveEarly } from '../lib/proof.mjs'
import { sdks } from '../lib/sdks.mjs'
import { System } from '../lib/system.mjs'

const FAULTY = ['mock-e429-ra1', 'mock-e500', 'mock-e401', 'mock-c9-err4', 'mock-c9-cut4', 'mock-c9-rst4']
const MODELS = ['mock-c5', 'mock-c4000-gu500', ...FAULTY]
let system
before(async () => {
  // Faults have channels of their own: what cools one down must not touch the other cases.
  const names = sdks.map(sdk => sdk.name)
  const channels = FAULTY.flatMap((model, i) => names.map(name => `[[channel]]\nname = "${name}-${i}"\nprovider = "${name}"\n`))
  const routes = Object.fromEntries(FAULTY.map((model, i) => [model, names.map(name => `${name}-${i}`)]))
  system = await System.start({ models: MODELS, channels: channels.join(''), routes })
})
after(() => system?.stop())

/** Nothing reached the provider, nothing was taken. */
async function untouched(customer) {
  assert.deepEqual(await system.mock.since(), [])
  if (customer) assert.equal((await system.wallet(customer)).charged, 0n)
  await system.check()
}

for (const sdk of sdks) {
  const good = client => client.whole('mock-c5')
  describe(sdk.name, () => {
    test('wrong key', async () => {
      await system.mock.mark()
      for (const key of ['sk-wrong', `sk-${'a'.repeat(49)}`]) {
        await assert.rejects(good(sdk.connect(system.url, key)), sdk.errors.wrongKey)
      }
      await untouched()
    })

    test('unknown model', async () => {
      const key = await system.customer(`${sdk.name}-unknown`)
      await system.mock.mark()
      await assert.rejects(sdk.connect(system.url, key).whole('no-such-model'), sdk.errors.unknownModel)
      await untouched(`${sdk.name}-unknown`)
    })

    test('empty wallet, asked once only', async () => {
      const key = await system.customer(`${sdk.name}-empty`, { credit: '0' })
      await system.mock.mark()
      let asked = 0
      const real = globalThis.fetch
      globalThis.fetch = (...args) => {
        asked += 1
        return real(...args)
      }
      try {
        const retrying = sdk.connect(system.url, key, sdk.name === 'gemini' ? {} : { maxRetries: 2 })
        await assert.rejects(good(retrying), sdk.errors.noFunds)
        await assert.rejects(async () => { for await (const _ of retrying.stream('mock-c5')); }, sdk.errors.noFunds)
      } finally { globalThis.fetch = real }
      assert.equal(asked, 2, 'a refusal that no retry cures is not retried')
      await untouched(`${sdk.name}-empty`)
    })

    test('a budget that is reached in the middle of a stream ends it', async () => {
      const budget = '0.010'
      const key = await system.customer(`${sdk.name}-budget`, { key: { budget_total: budget } })
      await system.mock.mark()
      const client = sdk.connect(system.url, key)
      let parts = 0
      await assert.rejects(async () => {
        for await (const _ of client.stream('mock-c4000-gu500')) parts += 1
      }, sdk.errors.budget)
      const [record] = await system.mock.records(1)
      assert.equal(record.end, 'aborted')
      assert.ok(parts > 500 && parts < 2000, `${parts} chunks came`)
      const [row] = await system.usageOf(`${sdk.name}-budget`, 1)
      assert.ok(paid(row) > nanos(budget) / 2n && paid(row) <= nanos(budget), `charged ${paid(row)} of ${nanos(budget)}`)
      await system.check()
      // What is left does not pay a request: the next is refused at once or stays inside the budget.
      await assert.rejects(async () => { for await (const _ of client.stream('mock-c4000-gu500')); },
        error => sdk.errors.noFunds(error) || sdk.errors.budget(error))
      await system.check()
    })

    for (const [model, is] of [['mock-e429-ra1', 'rate'], ['mock-e500', 'server']]) {
      test(`upstream says ${model.slice(6, 9)}`, async () => {
        const customer = `${sdk.name}-${is}`
        const key = await system.customer(customer)
        await system.mock.mark()
        await assert.rejects(sdk.connect(system.url, key).whole(model), sdk.errors[is])
        await assert.rejects(async () => { for await (const _ of sdk.connect(system.url, key).stream(model)); })
        const wallet = await system.wallet(customer)
        assert.equal(wallet.charged, 0n)
        assert.equal(wallet.held, 0n)
        await system.check()
      })
    }

    test('the provider refuses our own key: the client is not told to look at his', async () => {
      const key = await system.customer(`${sdk.name}-ours`)
      await assert.rejects(sdk.connect(system.url, key).whole('mock-e401'), error => !sdk.errors.wrongKey(error))
      await system.check()
    })

    for (const model of ['mock-c9-err4', 'mock-c9-cut4', 'mock-c9-rst4']) {
      test(`a stream that breaks (${model}) is not a clean end, and what came is charged`, async () => {
        const customer = `${sdk.name}-${model}`
        const key = await system.customer(customer)
        await system.mock.mark()
        let parts = 0
        await assert.rejects(async () => {
          for await (const _ of sdk.connect(system.url, key).stream(model)) parts += 1
        })
        assert.equal(parts, 4)
        const [record] = await system.mock.records(1)
        const [row] = await system.usageOf(customer, 1)
        proveEarly(row, record)
        assert.ok(paid(row) > 0n && paid(row) <= cost({ input: row.input_estimate + 100, output: 9 }))
        await system.check()
      })
    }
  })
}
