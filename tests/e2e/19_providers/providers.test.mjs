// The files of conf/providers, each against a stand-in that behaves as that provider does: usage by class, cost to
// the nano from the file's own prices, and what each of its errors means.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Mock } from '../lib/mock.mjs'
import { cost, paid } from '../lib/price.mjs'
import { root } from '../lib/paths.mjs'
import { sdks } from '../lib/sdks.mjs'
import { System } from '../lib/system.mjs'
import { until } from '../lib/processes.mjs'

const USAGE = { prompt: 1000, cache_read: 400, cache_write: 0, output: 50, reasoning: 7 }
const TROUBLES = { badkey: 'key_bad', nomoney: 'no_money', limited: 'rate', busy: 'overloaded', badrequest: 'caller' }

// price: as the file has it, written down once more. format: of the SDK that calls.
const PROVIDERS = [
  { name: 'openai', key: 'OPENAI_API_KEY', model: 'gpt-6.1-terra', cache_write: 200,
    price: { input: '1', cache_read: '0.05', cache_write_short: '1.25', output: '5' } },
  { name: 'anthropic', key: 'ANTHROPIC_API_KEY', model: 'claude-opus-5-5', format: 'claude', cache_write: 200, reasoning: 0,
    price: { input: '4', cache_read: '0.2', cache_write_short: '5', output: '20' } },
  { name: 'gemini', key: 'GEMINI_API_KEY', model: 'gemini-3.1-pro-preview', format: 'gemini',
    price: { input: '2', cache_read: '0.2', output: '12' } },
  { name: 'xai', key: 'XAI_API_KEY', model: 'grok-4.7', price: { input: '2', cache_read: '0.5', output: '6' } },
  { name: 'mistral', key: 'MISTRAL_API_KEY', model: 'mistral-large-4', reasoning: 0,
    price: { input: '0.7', cache_read: '0.07', output: '2.1' } },
  { name: 'qwen', key: 'DASHSCOPE_API_KEY', model: 'qwen3.8-max', cache_write: 200,
    price: { input: '2', cache_read: '0.25', cache_write_short: '2.5', output: '6' } },
  { name: 'deepseek', key: 'DEEPSEEK_API_KEY', model: 'deepseek-flash',
    price: { input: '0.15', cache_read: '0.003', output: '0.60' }, peak: true },
  { name: 'kimi', key: 'MOONSHOT_API_KEY', model: 'kimi-k3.1-pro', reasoning: 0,
    price: { input: '2', cache_read: '0.2', output: '10' } },
  { name: 'glm', key: 'ZAI_API_KEY', model: 'glm-5.3', price: { input: '1.4', cache_read: '0.26', output: '4.4' } },
  { name: 'minimax', key: 'MINIMAX_API_KEY', model: 'MiniMax-M3',
    price: { input: '0.3', cache_read: '0.06', output: '1.2' }, claude: 'minimax-claude' },
]

/** Twice the rates where DeepSeek's peak hours are, as its page has them: 01 to 04 and 06 to 10 UTC, Monday to Friday. */
function inForce(provider, at) {
  const hour = at.getUTCHours()
  const working = at.getUTCDay() >= 1 && at.getUTCDay() <= 5 && at.toISOString().slice(0, 10) !== '2027-01-01'
  const peak = provider.peak && working && ((hour >= 1 && hour < 4) || (hour >= 6 && hour < 10))
  const price = { cache_write_short: provider.price.input, ...provider.price }  // what is not named costs what input costs
  return Object.fromEntries(Object.entries(price).map(([name, usd]) => [name, peak ? String(Number(usd) * 2) : usd]))
}

const text = content => (typeof content === 'string' ? content
  : (content ?? []).map(part => part.text ?? '').join(''))

for (const provider of PROVIDERS) {
  describe(provider.name, () => {
    const { name, model, key: variable, format = 'openai', cache_write = 0, reasoning = USAGE.reasoning } = provider
    const sdk = sdks.find(candidate => candidate.name === format)
    let system, upstream, client

    before(async () => {
      upstream = await Mock.start({ args: ['--as', name, '--model',
        `${model}=c20-in${USAGE.prompt}-cache${USAGE.cache_read}-cwrite${cache_write}-out${USAGE.output}-think${USAGE.reasoning}`] })
      await upstream.mark()
      system = await System.start()
      process.env[variable] = `sk-${name}-0123456789abcdef`
      // The file as it is, but for where it leads: the paths behind the host stay.
      const preset = readFileSync(join(root, 'conf/providers', `${name}.toml`), 'utf8')
        .replace(/base_url = "https:\/\/[^/"]+/g, `base_url = "http://127.0.0.1:${upstream.port}`)
      await system.apply(preset)
      const channels = [name, ...(provider.claude ? [provider.claude] : [])]
      await system.apply(Object.keys(TROUBLES).map(word => `
[[model]]
name = "mock-${word}"
routes = ${JSON.stringify(channels)}
[[model.price]]
input = "1"
output = "1"
`).join(''))
      client = sdk.connect(system.url, await system.customer(name))
    })
    after(async () => {
      delete process.env[variable]
      await system?.stop()
      await upstream?.stop()
    })

    const counter = async class_ => {
      const page = await (await fetch(`http://127.0.0.1:${system.metricsPort}/metrics`)).text()
      const found = new RegExp(`^sluice_upstream_errors_${class_}_total\\{slot="\\d+"\\} (\\d+)$`, 'm').exec(page)
      return Number(found[1])
    }

    test('usage by class and cost, streamed and whole', async () => {
      let streamed = ''
      let asked = 0
      if (format === 'openai') {
        // What clients send: with the report they ask for, which one of the ten would refuse.
        const chunks = await client.raw.chat.completions.create({ model, stream: true, stream_options: { include_usage: true },
          messages: [{ role: 'user', content: 'Say hello.' }] })
        for await (const chunk of chunks) {
          streamed += text(chunk.choices[0]?.delta?.content)
          asked += (chunk.usage ?? chunk.choices[0]?.usage)?.prompt_tokens ?? 0
        }
        assert.equal(asked, USAGE.prompt, 'the client that asks for usage gets it')
      } else {
        for await (const part of client.stream(model)) streamed += part
      }
      const whole = await client.whole(model)
      const words = ' word'.repeat(20)
      assert.ok(streamed.endsWith(words), streamed)
      assert.ok(text(whole.text).endsWith(words))
      await upstream.records(2)
      const rows = await system.usageOf(name, 2)
      for (const row of rows) {
        assert.equal(row.channel, name)
        assert.equal(row.cache_read, USAGE.cache_read)
        assert.equal(row.cache_write, cache_write)
        assert.equal(row.input, USAGE.prompt - USAGE.cache_read - cache_write)
        assert.equal(row.output, USAGE.output, 'output includes reasoning, wherever the provider counts it')
        assert.equal(row.reasoning, reasoning)
        const price = inForce(provider, new Date(row.at))
        assert.equal(paid(row), cost({ input: row.input, output: row.output, cache_read: row.cache_read, cache_write }, price))
      }
      await system.check()
    })

    for (const [word, class_] of Object.entries(TROUBLES)) {
      for (const streamed of [false, true]) {
        test(`${word}${streamed ? ' of a stream' : ''} is ${class_}, costs nothing, and tells the client the truth`, async () => {
          const before_ = await counter(class_)
          const error = await (async () => {
            if (!streamed) return client.whole(`mock-${word}`)
            let got = ''
            for await (const part of client.stream(`mock-${word}`)) got += part
            return got
          })().then(got => assert.fail(`an answer: ${JSON.stringify(got)}`), problem => problem)
          const secret = class_ === 'key_bad' || class_ === 'no_money'
          // The operator's account is nobody's business; the rest is the caller's to know, with a status that says so.
          if (secret) assert.equal(error.status, 502, error.message)
          else assert.ok(error.status >= 400, error.message)
          if (class_ === 'caller') assert.ok(error.status < 500, error.message)
          await until(async () => (await counter(class_)) === before_ + 1, `the error to be counted as ${class_}`)
          for (const row of await system.usage('--customer', name)) {
            if (row.model === `mock-${word}`) assert.equal(paid(row), 0n)
          }
        })
      }
    }

    if (provider.claude) {
      test('its Claude route: usage, and an empty account that comes as 500', async () => {
        const claude = sdks.find(candidate => candidate.name === 'claude').connect(system.url, await system.customer(`${name}-2`))
        await claude.whole(model)
        const [row] = await system.usageOf(`${name}-2`, 1)
        assert.equal(row.channel, provider.claude)
        assert.equal(paid(row), cost({ input: 600, cache_read: 400, output: 50 }, inForce(provider, new Date(row.at))))
        const before_ = await counter('no_money')
        await assert.rejects(claude.whole('mock-nomoney'), error => error.status === 502)
        await until(async () => (await counter('no_money')) === before_ + 1, 'the error to be counted')
      })
    }
  })
}
