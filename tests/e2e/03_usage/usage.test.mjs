// Usage that is missing or false: the wallet pays an estimate or a bound, never a credit, never without end.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { cost, costOfRow, nanos, paid } from '../lib/price.mjs'
import { proveExact } from '../lib/proof.mjs'
import { sdks } from '../lib/sdks.mjs'
import { System } from '../lib/system.mjs'

const MODELS = ['mock-c20-nousage', 'mock-c20-negusage', 'mock-c20-hugeusage', 'mock-c20-wrongusage', 'mock-c20-twiceusage',
  'mock-c20-shrinkusage', 'mock-c20-in123-out45', 'mock-c20-in100-cache40-cwrite20-think7', 'mock-c20-in100-cache40-think7']
let system
before(async () => { system = await System.start({ models: MODELS }) })
after(() => system?.stop())

for (const sdk of sdks) {
  describe(sdk.name, () => {
    /** One stream and one whole answer; their records and rows. */
    async function both(model) {
      const customer = `${sdk.name}-${model}`
      const key = await system.customer(customer)
      await system.mock.mark()
      const client = sdk.connect(system.url, key)
      let text = ''
      for await (const part of client.stream(model)) text += part
      assert.equal(text, ' word'.repeat(20))
      assert.equal((await client.whole(model)).text, text)
      return [await system.mock.records(2), await system.usageOf(customer, 2), customer]
    }

    // Gemini does not report what was written to a cache.
    const cached = sdk.name === 'gemini' ? 'mock-c20-in100-cache40-think7' : 'mock-c20-in100-cache40-cwrite20-think7'
    for (const model of ['mock-c20-in123-out45', cached, 'mock-c20-wrongusage', 'mock-c20-twiceusage']) {
      test(`${model}: charged as claimed, once`, async () => {
        const [records, rows] = await both(model)
        await proveExact(system, records, rows)
      })
    }

    test('no usage: the estimate and what was counted', async () => {
      const [, rows] = await both('mock-c20-nousage')
      for (const row of rows) {
        assert.equal(paid(row), costOfRow(row))
        assert.equal(row.input, row.input_estimate)
        assert.ok(row.output >= 15 && row.output <= 40, `${row.output} counted for 20 words`)
      }
      await system.check()
    })

    test('shrinking usage: never less than the last figure, never more than the largest', async () => {
      const [records, rows] = await both('mock-c20-shrinkusage')
      for (const row of rows) {
        const claimed = records[0].usage
        assert.ok(paid(row) >= cost(claimed) && paid(row) <= cost({ ...claimed, output: claimed.output * 2 }))
      }
      await system.check()
    })

    test('negative usage is no credit', async () => {
      const [, rows, customer] = await both('mock-c20-negusage')
      for (const row of rows) assert.ok(paid(row) >= 0n)
      assert.ok((await system.wallet(customer)).charged >= 0n)
      await system.check()
    })

    test('absurd usage takes no more than the hold and its bound', async () => {
      const [, rows] = await both('mock-c20-hugeusage')
      for (const row of rows) {
        assert.ok(paid(row) > 0n && paid(row) <= nanos(row.held_usd) + 10_000_000n)
        assert.ok(paid(row) < 1_000_000_000n, 'not a dollar for 20 words')
      }
      await system.check()
    })
  })
}
