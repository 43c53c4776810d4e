// What clients are told about limits and money, what they tell about a request, and what goes into its record.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { call } from '../lib/http.mjs'
import { bodyOf } from '../lib/mock.mjs'
import { nanos, paid } from '../lib/price.mjs'
import { sleep, until } from '../lib/processes.mjs'
import { chat } from '../lib/raw.mjs'
import { Anthropic, OpenAI, sdks } from '../lib/sdks.mjs'
import { System } from '../lib/system.mjs'

const MODELS = ['mock-c5', 'mock-l1500-c5', 'mock-c5-hold', 'mock-e500', 'mock-c40-g50']
const PATH = '/v1/chat/completions'
let system
before(async () => { system = await System.start({ models: MODELS, config: { edge: 'shards = 2' } }) })
after(() => system?.stop())

const ask = (key, model = 'mock-c5', more = {}) =>
  call(system, 'POST', PATH, { key, body: chat(model, more.body), headers: more.headers })

/** Lines of the access record that have all of `wanted`, when there is one. */
const lines = wanted => until(() => {
  const found = readdirSync(system.file('records')).flatMap(name =>
    readFileSync(`${system.file('records')}/${name}`, 'utf8').split('\n').filter(Boolean).map(JSON.parse))
    .filter(line => Object.entries(wanted).every(([name, value]) => line[name] === value))
  return found.length > 0 && found
}, `a record with ${JSON.stringify(wanted)}`)

describe('rate limits', () => {
  test('OpenAI: what is left, when it is back, and how long to wait', async () => {
    const key = await system.customer('openai-told', { key: { requests_per_minute: 6, tokens_per_minute: 60_000 } })
    for (let left = 5; left >= 0; --left) {
      const { status, headers } = await ask(key, 'mock-c5', { body: { max_tokens: 100 } })
      assert.equal(status, 200)
      assert.equal(headers['x-ratelimit-limit-requests'], '6')
      assert.equal(headers['x-ratelimit-remaining-requests'], String(left))
      assert.match(headers['x-ratelimit-reset-requests'], /^(\d+m)?\d+(\.\d+)?s$/)
      assert.equal(headers['x-ratelimit-limit-tokens'], '60000')
      assert.ok(Number(headers['x-ratelimit-remaining-tokens']) < 60_000)
    }
    const { status, headers, json } = await ask(key, 'mock-c5', { body: { max_tokens: 100 } })
    assert.equal(status, 429)
    assert.equal(json.error.code, 'rate_limit_exceeded')
    assert.equal(headers['x-ratelimit-remaining-requests'], '0')
    assert.equal(headers['x-should-retry'], 'true')
    assert.ok(Number(headers['retry-after']) >= 8 && Number(headers['retry-after']) <= 10, headers['retry-after'])
  })

  test('a stream says it in its head, too', async () => {
    const key = await system.customer('stream-told', { key: { requests_per_minute: 60 } })
    const { headers } = await ask(key, 'mock-c5', { body: { stream: true } })
    assert.equal(headers['x-ratelimit-remaining-requests'], '59')
  })

  test('tokens are counted as they were used when the request has ended', async () => {
    const key = await system.customer('used', { key: { tokens_per_minute: 1_000_000 } })
    const body = { max_tokens: 60_000 }
    const first = Number((await ask(key, 'mock-c5', { body })).headers['x-ratelimit-remaining-tokens'])
    assert.ok(first < 940_000, `${first} left while 60,000 may come`)
    const [row] = await system.usageOf('used', 1)
    const second = Number((await ask(key, 'mock-c5', { body })).headers['x-ratelimit-remaining-tokens'])
    assert.ok(Math.abs(first - (row.input + row.output) - second) < 100 + 1_000_000 / 60, `${first}, then ${second}`)
  })

  test('Claude: its own headers, and its SDK waits as it is told', async () => {
    const key = await system.customer('claude-told', { key: { requests_per_minute: 30 } })
    const client = new Anthropic({ baseURL: system.url, apiKey: key, maxRetries: 1 })
    const messages = [{ role: 'user', content: 'hello' }]
    const create = () => client.messages.create({ model: 'mock-c5', max_tokens: 50, messages }).withResponse()
    for (let left = 29; left >= 0; --left) {
      const { response } = await create()
      assert.equal(response.headers.get('anthropic-ratelimit-requests-limit'), '30')
      const told = Number(response.headers.get('anthropic-ratelimit-requests-remaining'))
      assert.ok(told >= left && told <= left + 2, `${told} of ${left}`)
      const reset = Date.parse(response.headers.get('anthropic-ratelimit-requests-reset'))
      assert.ok(reset >= Date.now() - 1000 && reset <= Date.now() + 62_000)
    }
    let waited = 0
    for (let i = 0; i < 3; ++i) {
      const began = performance.now()
      await create()
      waited = Math.max(waited, performance.now() - began)
    }
    assert.ok(waited > 900 && waited < 3500, `the SDK waited ${waited} ms for a place each 2 s`)
  })

  test('Gemini: the delay is in the error', async () => {
    const key = await system.customer('gemini-told', { key: { requests_per_minute: 1 } })
    const generate = () => call(system, 'POST', '/v1beta/models/mock-c5:generateContent',
      { headers: { 'x-goog-api-key': key }, body: { contents: [{ role: 'user', parts: [{ text: 'hello' }] }] } })
    assert.equal((await generate()).status, 200)
    const { status, headers, json } = await generate()
    assert.equal(status, 429)
    assert.equal(json.error.status, 'RESOURCE_EXHAUSTED')
    assert.equal(json.error.details[0].retryDelay, `${headers['retry-after']}s`)
    assert.ok(Number(headers['retry-after']) > 55)
  })
})

describe('an Idempotency-Key', () => {
  const once = name => ({ headers: { 'idempotency-key': name } })

  test('a second attempt is refused with the id and cost of the first, and asks no provider', async () => {
    const key = await system.customer('twice')
    const first = await ask(key, 'mock-c5', once('order-1'))
    assert.equal(first.status, 200)
    const [row] = await system.usageOf('twice', 1)
    await system.mock.mark()
    const second = await ask(key, 'mock-c5', once('order-1'))
    assert.equal(second.status, 409)
    assert.equal(second.headers['x-should-retry'], 'false')
    assert.equal(second.json.error.code, 'idempotency_conflict')
    const said = /request ([0-9a-f]{32}) cost ([0-9.]+) USD/.exec(second.json.error.message)
    assert.equal(said[1], first.headers['x-request-id'])
    assert.equal(said[2], row.cost_usd.slice(0, said[2].length))
    assert.deepEqual(await system.mock.since(), [])
    assert.equal((await ask(key, 'mock-c5', once('order-2'))).status, 200, 'another name is another request')
    const other = await system.customer('stranger')
    assert.equal((await ask(other, 'mock-c5', once('order-1'))).status, 200, 'of another key as well')
    await system.check()
  })

  test('of 1,000 attempts at once, over two shards, one is made', async () => {
    const key = await system.customer('crowd')
    await system.mock.mark()
    const all = Array.from({ length: 1000 }, () => ask(key, 'mock-c5-hold', once('one')))
    const statuses = []
    for (const attempt of all) attempt.then(answer => statuses.push(answer.status))
    await until(() => statuses.length === 999, '999 to be refused', 20_000)
    assert.ok(statuses.every(status => status === 409))
    await system.mock.release()
    await Promise.all(all)
    assert.equal(statuses.filter(status => status === 200).length, 1)
    assert.equal((await system.mock.records(1)).length, 1)
  })

  test('what cost nothing may be tried again: a provider that failed, a limit', async () => {
    const key = await system.customer('again')
    assert.ok((await ask(key, 'mock-e500', once('a'))).status >= 500)
    assert.equal((await ask(key, 'mock-c5', once('a'))).status, 200)
    const slow = await system.customer('again-later', { key: { requests_per_minute: 60, max_in_flight: 1 } })
    const running = ask(slow, 'mock-c5-hold', once('b'))
    await until(async () => (await system.mock.recorder('?limit=0')).held === 1, 'the first to run')
    assert.equal((await ask(slow, 'mock-c5', once('c'))).status, 429)
    const busy = await ask(slow, 'mock-c5', once('b'))
    assert.equal(busy.status, 409)
    assert.match(busy.json.error.message, /still running/)
    await system.mock.release()
    assert.equal((await running).status, 200)
    assert.equal((await ask(slow, 'mock-c5', once('c'))).status, 200)
  })

  test('the shard dies with the first: charged or not, the second knows', async () => {
    const key = await system.customer('died')
    const first = ask(key, 'mock-c5-hold', once('lost')).catch(error => error)
    await until(async () => (await system.mock.recorder('?limit=0')).held === 1, 'the first to run')
    for (const pid of system.shards()) process.kill(pid, 'SIGKILL')
    await first
    const [row] = await system.usageOf('died', 1)
    assert.ok(paid(row) > 0n, 'it was sent: its input is charged')
    await system.ready()
    const second = await until(() => ask(key, 'mock-c5', once('lost')).catch(() => null), 'an answer')
    assert.equal(second.status, 409)
    assert.match(second.json.error.message, new RegExp(row.request_id))
    await system.mock.release()
    await system.check()
  })

  for (const [name, make] of [
    ['OpenAI', key => {
      const client = new OpenAI({ baseURL: `${system.url}/v1`, apiKey: key, timeout: 400, maxRetries: 2, defaultHeaders: { 'idempotency-key': 'sdk' } })
      return () => client.chat.completions.create({ model: 'mock-l1500-c5', messages: [{ role: 'user', content: 'hello' }] })
    }],
    ['Claude', key => {
      const client = new Anthropic({ baseURL: system.url, apiKey: key, timeout: 400, maxRetries: 2, defaultHeaders: { 'idempotency-key': 'sdk' } })
      return () => client.messages.create({ model: 'mock-l1500-c5', max_tokens: 50, messages: [{ role: 'user', content: 'hello' }] })
    }],
  ]) {
    test(`${name}'s SDK gives up on a slow provider and tries again: one request, one bill`, async () => {
      const customer = `slow-${name.toLowerCase()}`
      const key = await system.customer(customer)
      await system.mock.mark()
      await assert.rejects(make(key), error => error.status === 409)
      const rows = await system.usageOf(customer, 1)
      assert.equal((await system.mock.records(1)).length, 1)
      await sleep(200)
      assert.equal((await system.usage('--customer', customer)).length, rows.length)
      await system.check()
    })
  }

  test('without one the count of the retry is in the record', async () => {
    const key = await system.customer('counted')
    const client = new OpenAI({ baseURL: `${system.url}/v1`, apiKey: key, timeout: 400, maxRetries: 1 })
    await assert.rejects(client.chat.completions.create({ model: 'mock-l1500-c5', messages: [{ role: 'user', content: 'hello' }] }))
    const rows = await system.usageOf('counted', 2)
    assert.deepEqual(rows.map(row => row.client_retry).sort(), [0, 1])
  })
})

describe('labels', () => {
  test("the client's id, header and metadata are in the record, and found by it", async () => {
    const key = await system.customer('labels')
    const { headers } = await ask(key, 'mock-c5', {
      headers: { 'x-client-request-id': 'mine-7', 'x-sluice-tags': 'repo=core, ticket=ABC-1,broken' },
      body: { metadata: { team: 'infra', long: 'x'.repeat(200), n: 5 } },
    })
    await ask(key, 'mock-c5', { headers: { 'x-request-id': 'mine-8', 'x-sluice-tags': 'ticket=ABC-12' } })
    await system.usageOf('labels', 2)
    const [row] = await system.usage('--tag', 'ticket=ABC-1')
    assert.equal(row.tags, 'id=mine-7,repo=core,ticket=ABC-1,team=infra')
    assert.equal(row.request_id, headers['x-request-id'])
    assert.equal((await system.usage('--customer', 'labels', '--tag', 'ticket')).length, 2)
    assert.equal((await system.usage('--tag', 'id=mine-8')).length, 1)
    assert.equal((await system.usage('--tag', 'ticket=ABC')).length, 0)
    assert.equal((await system.usage('--request', row.request_id)).length, 1)
  })

  test('each request has one line in the access record, with what it was', async () => {
    const key = await system.customer('lines', { key: { requests_per_minute: 1 } })
    const { headers } = await ask(key, 'mock-c5', { headers: { 'x-sluice-tags': 'a=b', 'x-stainless-retry-count': '2' } })
    const [row] = await system.usageOf('lines', 1)
    const [line, ...more] = await lines({ request_id: headers['x-request-id'] })
    assert.deepEqual(more, [])
    assert.deepEqual(
      [line.key, line.customer, line.model, line.channel, line.format, line.stream, line.status, line.end, line.tags, line.client_retry, line.attempts],
      ['main', 'lines', 'mock-c5', 'openai', 'openai', false, 200, 'finished', 'a=b', 2, 1])
    assert.deepEqual([line.input_tokens, line.output_tokens, BigInt(line.charged_nanos)], [row.input, row.output, paid(row)])
    // A connection that is there is taken in the turn in which the request came: no connect_us.
    for (const name of ['first_byte_us', 'total_us']) assert.ok(line[name] > 0, name)
    assert.ok(Math.abs(Date.parse(line.time) - Date.now()) < 60_000)

    const refused = await ask(key)
    assert.equal(refused.status, 429)
    const [second] = await lines({ request_id: refused.headers['x-request-id'] })
    assert.deepEqual([second.end, second.limit, second.status, second.key, second.model, second.client],
      ['refused', 'key_requests', 429, 'main', 'mock-c5', '127.0.0.1'])
  })
})

describe('account', () => {
  const get = (key, path, headers) => call(system, 'GET', path, { key, headers })

  test('the balance moves as money does', async () => {
    const key = await system.customer('asks', { credit: '5', key: { budget_total: '2', clamp: false } })
    const before = (await get(key, '/v1/sluice/balance')).json
    assert.deepEqual([before.available_usd, before.spendable_usd, before.key.total.limit_usd], ['5.000000000', '2.000000000', '2.000000000'])
    const running = ask(key, 'mock-c5-hold')
    await until(async () => (await get(key, '/v1/sluice/balance')).json.key.in_flight === 1, 'it to run')
    const meanwhile = (await get(key, '/v1/sluice/balance')).json
    assert.equal(nanos(meanwhile.held_usd), nanos(meanwhile.key.total.reserved_usd))
    assert.ok(nanos(meanwhile.held_usd) > 0n)
    await system.mock.release()
    await running
    const [row] = await system.usageOf('asks', 1)
    const after = (await get(key, '/v1/sluice/balance')).json
    assert.equal(nanos(after.available_usd), 5_000_000_000n - paid(row))
    assert.equal(nanos(after.spendable_usd), 2_000_000_000n - paid(row))
    assert.equal(nanos(after.key.month.spent_usd), paid(row))
  })

  test('what a desktop client asks: limit, usage, and from both what is left', async () => {
    const key = await system.customer('desktop', { credit: '3' })
    await ask(key)
    const [row] = await system.usageOf('desktop', 1)
    for (const prefix of ['', '/v1']) {
      const limit = (await get(key, `${prefix}/dashboard/billing/subscription`)).json
      const used = (await get(key, `${prefix}/dashboard/billing/usage?start_date=2026-01-01&end_date=2026-12-31`)).json
      const grants = (await get(key, `${prefix}/dashboard/billing/credit_grants`)).json
      assert.equal(limit.object, 'billing_subscription')
      assert.equal(limit.hard_limit_usd, 3)
      assert.equal(used.total_usage, Number(paid(row)) / 1e7)
      assert.equal(grants.total_available, Number(3_000_000_000n - paid(row)) / 1e9)
      assert.equal((await get(key, `${prefix}/dashboard/billing/invoices`)).status, 404)
    }
  })

  test('a request by its id: soon after its end, of its own key only', async () => {
    const key = await system.customer('owner')
    const { headers } = await ask(key, 'mock-c5', { headers: { 'x-sluice-tags': 'a=b' } })
    const path = `/v1/sluice/requests/${headers['x-request-id']}`
    const found = await until(async () => {
      const answer = await get(key, path)
      return answer.status === 200 && answer
    }, 'the request to be found', 200)
    const [row] = await system.usageOf('owner', 1)
    assert.deepEqual([found.json.id, found.json.model, found.json.status, found.json.end, found.json.output_tokens, found.json.tags],
      [row.request_id, 'mock-c5', 200, 'finished', row.output, 'a=b'])
    assert.equal(nanos(found.json.cost_usd), paid(row))
    assert.equal('channel' in found.json, false, "the operator's business")
    assert.equal((await get(await system.customer('other'), path)).status, 404)
    assert.equal((await get(key, `/v1/sluice/requests/${'0'.repeat(32)}`)).status, 404)
    assert.equal((await get(key, '/v1/sluice/requests/x')).status, 400)
  })

  test('while the reconciler is away the balance is there, and older requests are not', async () => {
    const key = await system.customer('away')
    process.kill(system.reconciler.pid, 'SIGKILL')
    await system.reconciler.ended
    try {
      assert.equal((await get(key, '/v1/sluice/balance')).status, 200)
      const { status, headers } = await get(key, `/v1/sluice/requests/${'0'.repeat(32)}`)
      assert.deepEqual([status, headers['retry-after']], [503, '1'])
    } finally { system.startReconciler() }
    await until(async () => (await get(key, `/v1/sluice/requests/${'0'.repeat(32)}`)).status === 404, 'it to be back')
  })

  test('nobody asks without a key, and parts that are not offered say so', async () => {
    const key = await system.customer('asks-more')
    assert.equal((await get(undefined, '/v1/sluice/balance')).status, 401)
    assert.equal((await get('sk-wrong', '/dashboard/billing/usage')).status, 401)
    assert.equal((await call(system, 'POST', '/v1/sluice/balance', { key, body: {} })).status, 405)
    for (const path of ['/v1/files', '/v1/batches', '/v1/assistants']) {
      const { status, json, headers } = await get(key, path)
      assert.equal(status, 404)
      assert.match(json.error.message, /not offered/)
      assert.equal(headers['x-should-retry'], 'false')
    }
    const { status, json } = await get(key, '/v1/messages/batches', { 'anthropic-version': '2023-06-01' })
    assert.deepEqual([status, json.error.type], [404, 'not_found_error'])
  })
})

describe('credentials in prompts', () => {
  const secret = ['gh', 'p_a8Kd72bQx0Zr51mVt9Wc3Ye6Uf4Gh7Jn2Lp8'].join('')
  const body = { messages: [{ role: 'user', content: `my token is ${secret}\nuse it` }] }

  test('pass by default, byte for byte', async () => {
    const key = await system.customer('pass')
    await system.mock.mark()
    assert.equal((await ask(key, 'mock-c5', { body })).status, 200)
    assert.ok(bodyOf((await system.mock.records(1))[0]).includes(secret))
  })

  test('masked: the provider sees asterisks, the rest is as it was', async () => {
    const key = await system.customer('mask', { key: { credentials: 'mask' } })
    await system.mock.mark()
    assert.equal((await ask(key, 'mock-c5', { body })).status, 200)
    const sent = JSON.parse(bodyOf((await system.mock.records(1))[0]))
    assert.equal(sent.messages[0].content, `my token is ${'*'.repeat(secret.length)}\nuse it`)
    const [row] = await system.usageOf('mask', 1)
    assert.equal(row.tags, 'masked=1')
  })

  for (const sdk of sdks) {
    test(`refused: ${sdk.name}'s SDK says why, and nothing leaves`, async () => {
      const key = await system.customer(`refuse-${sdk.name}`, { key: { credentials: 'refuse' } })
      await system.mock.mark()
      const client = sdk.connect(system.url, key).raw
      const content = `my token is ${secret}`
      const calls = {
        openai: () => client.chat.completions.create({ model: 'mock-c5', messages: [{ role: 'user', content }] }),
        claude: () => client.messages.create({ model: 'mock-c5', max_tokens: 50, messages: [{ role: 'user', content }] }),
        gemini: () => client.models.generateContent({ model: 'mock-c5', contents: content }),
      }
      await assert.rejects(calls[sdk.name], error =>
        sdk.errors.bad(error) && /GitHub token/.test(error.message) && !error.message.includes(secret))
      assert.deepEqual(await system.mock.since(), [])
      await sdk.connect(system.url, key).whole('mock-c5')
    })
  }
})
