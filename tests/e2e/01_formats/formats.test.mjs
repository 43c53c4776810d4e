// Each official SDK against the gateway, only base URL and key changed: streams, whole answers, tools, model lists.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { bodyOf } from '../lib/mock.mjs'
import { proveExact } from '../lib/proof.mjs'
import { sdks } from '../lib/sdks.mjs'
import { System } from '../lib/system.mjs'

const MODELS = ['mock-c5', 'mock-c40-g5', 'mock-c2-tool', 'mock-c3-split7', 'mock-c3-cache2-cwrite1-think4', 'mock-c3-cache2-think4', 'mock-c600-w50-gu500']
let system
before(async () => { system = await System.start({ models: MODELS }) })
after(() => system?.stop())

/** Bodies that the SDK hands to fetch while `run` runs. */
async function sentBodies(run) {
  const real = globalThis.fetch
  const bodies = []
  globalThis.fetch = (url, options) => {
    if (options?.body) bodies.push(String(options.body))
    return real(url, options)
  }
  try { await run() } finally { globalThis.fetch = real }
  return bodies
}

for (const sdk of sdks) {
  describe(sdk.name, () => {
    test('streams chunk by chunk and is charged what was claimed', async () => {
      const key = await system.customer(`${sdk.name}-stream`)
      await system.mock.mark()
      const client = sdk.connect(system.url, key)
      const arrivals = []
      let text = ''
      for await (const part of client.stream('mock-c40-g5')) {
        text += part
        arrivals.push(performance.now())
      }
      assert.equal(text, ' word'.repeat(40))
      assert.ok(arrivals.at(-1) - arrivals[0] > 150, 'the chunks came over time, not at once')
      const records = await system.mock.records(1)
      assert.equal(records[0].end, 'complete')
      await proveExact(system, records, await system.usageOf(`${sdk.name}-stream`, 1))
    })

    test('answers whole', async () => {
      const key = await system.customer(`${sdk.name}-whole`)
      await system.mock.mark()
      const client = sdk.connect(system.url, key)
      // Gemini does not report what was written to a cache.
      const cached = sdk.name === 'gemini' ? 'mock-c3-cache2-think4' : 'mock-c3-cache2-cwrite1-think4'
      for (const model of ['mock-c5', 'mock-c3-split7', cached]) {
        const answer = await client.whole(model)
        assert.equal(answer.text, ' word'.repeat(model === 'mock-c5' ? 5 : 3))
      }
      await proveExact(system, await system.mock.records(3), await system.usageOf(`${sdk.name}-whole`, 3))
    })

    test('streams 180 KB without losing a byte', async () => {
      const key = await system.customer(`${sdk.name}-bulk`)
      await system.mock.mark()
      let direct = ''
      for await (const part of sdk.connect(`http://127.0.0.1:${system.mock.port}`, 'sk-any').stream('mock-c600-w50-gu500')) direct += part
      let through = ''
      for await (const part of sdk.connect(system.url, key).stream('mock-c600-w50-gu500')) through += part
      assert.ok(through.length > 20_000)
      assert.equal(through, direct)
      const records = (await system.mock.records(2)).slice(1)
      await proveExact(system, records, await system.usageOf(`${sdk.name}-bulk`, 1))
    })

    test('passes tools through byte for byte', async () => {
      const key = await system.customer(`${sdk.name}-tool`)
      await system.mock.mark()
      const bodies = await sentBodies(async () => {
        const client = sdk.connect(system.url, key)  // it keeps the fetch that it finds when it is made
        assert.deepEqual(await client.tool('mock-c2-tool'), { name: 'lookup', arguments: { city: 'Paris' } })
      })
      const records = await system.mock.records(1)
      assert.deepEqual(bodies, [bodyOf(records[0])])
      await proveExact(system, records, await system.usageOf(`${sdk.name}-tool`, 1))
    })

    test('lists the models that this key may call, without asking the provider', async () => {
      const all = await system.customer(`${sdk.name}-models`)
      const some = await system.customer(`${sdk.name}-some`, { key: { models: ['mock-c5', 'mock-c40*'] } })
      await system.mock.mark()
      assert.deepEqual((await sdk.connect(system.url, all).models()).sort(), [...MODELS].sort())
      assert.deepEqual((await sdk.connect(system.url, some).models()).sort(), ['mock-c40-g5', 'mock-c5'])
      assert.deepEqual(await system.mock.since(), [])
    })
  })
}

describe('other calls', () => {
  test('OpenAI: responses, completions and embeddings', async () => {
    const key = await system.customer('openai-others')
    await system.mock.mark()
    const { raw } = sdks[0].connect(system.url, key)
    const response = await raw.responses.create({ model: 'mock-c5', input: 'hello', store: false })
    assert.equal(response.output_text, ' word'.repeat(5))
    let text = ''
    for await (const event of await raw.responses.create({ model: 'mock-c5', input: 'hello', store: false, stream: true })) {
      if (event.type === 'response.output_text.delta') text += event.delta
    }
    assert.equal(text, ' word'.repeat(5))
    assert.equal((await raw.completions.create({ model: 'mock-c5', prompt: 'hello' })).choices[0].text, ' word'.repeat(5))
    assert.equal((await raw.embeddings.create({ model: 'mock-c5', input: ['a', 'b'] })).data.length, 2)
    await proveExact(system, await system.mock.records(4), await system.usageOf('openai-others', 4))
  })

  test('Claude and Gemini count tokens free of charge', async () => {
    const key = await system.customer('counting')
    await system.mock.mark()
    const claude = sdks[1].connect(system.url, key).raw
    const counted = await claude.messages.countTokens({ model: 'mock-c5', messages: [{ role: 'user', content: 'hello' }] })
    assert.ok(counted.input_tokens > 0)
    const gemini = sdks[2].connect(system.url, key).raw
    assert.ok((await gemini.models.countTokens({ model: 'mock-c5', contents: 'hello' })).totalTokens > 0)
    assert.equal((await system.wallet('counting')).charged, 0n)
    await system.check()
  })

  test('a usage chunk that the client did not ask for is withheld', async () => {
    const key = await system.customer('withheld')
    await system.mock.mark()
    const { raw } = sdks[0].connect(system.url, key)
    const messages = [{ role: 'user', content: 'hello' }]
    const usages = async options => {
      const seen = []
      for await (const chunk of await raw.chat.completions.create({ model: 'mock-c5', messages, stream: true, ...options })) {
        if (chunk.usage) seen.push(chunk.usage)
      }
      return seen
    }
    assert.deepEqual(await usages({}), [])
    assert.equal((await usages({ stream_options: { include_usage: true } })).length, 1)
    const records = await system.mock.records(2)
    assert.ok(records.every(record => record.include_usage), 'the gateway asks for usage whatever the client does')
    await proveExact(system, records, await system.usageOf('withheld', 2))
  })
})
